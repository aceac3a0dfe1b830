/**
 * Lint rules for workflow code: what a coordinator would refuse or park a run for, said while it is being written.
 *
 * An ESLint plugin (9 and later, flat config), which oxlint loads as well. For Biome: the `.grit` file in ../biome.
 */

import type { ESLint, Linter } from "eslint";
import { noFloatingStep } from "./rules/no-floating-step.ts";
import { noImplicitLocale } from "./rules/no-implicit-locale.ts";
import { noIoInWorkflow } from "./rules/no-io-in-workflow.ts";
import { noNondeterminism } from "./rules/no-nondeterminism.ts";
import { noSharedState } from "./rules/no-shared-state.ts";
import { preferNamedBranches } from "./rules/prefer-named-branches.ts";
import { preferWorkflowClock } from "./rules/prefer-workflow-clock.ts";

const rules = {
  "no-nondeterminism": noNondeterminism,
  "no-floating-step": noFloatingStep,
  "no-io-in-workflow": noIoInWorkflow,
  "no-shared-state": noSharedState,
  "no-implicit-locale": noImplicitLocale,
  "prefer-named-branches": preferNamedBranches,
  "prefer-workflow-clock": preferWorkflowClock,
};

const recommended: Linter.Config & { plugins: Record<string, ESLint.Plugin> } = {
  name: "stepstream/recommended",
  plugins: {},
  rules: {
    "stepstream/no-nondeterminism": "error",
    "stepstream/no-floating-step": "error",
    "stepstream/no-io-in-workflow": "error",
    "stepstream/no-shared-state": "error",
    "stepstream/no-implicit-locale": "warn",
    "stepstream/prefer-named-branches": "warn",
  },
};

const plugin: ESLint.Plugin & { rules: typeof rules; configs: { recommended: typeof recommended } } = {
  meta: { name: "stepstream", version: "0.1.0" },
  rules,
  configs: { recommended },
};
recommended.plugins.stepstream = plugin;

export default plugin;
