/**
 * Which file may import which. scripts/imports.mjs checks it, and that there are no circles.
 *
 * The first table is the one of ARCHITECTURE.md: change both.
 */

/** What the product code of a package may import of this workspace, besides its own files. */
const PACKAGES = {
  "packages/contracts": [],
  "packages/lint": [],
  "packages/watchdog": [],
  infra: [],
  "packages/event-log": ["packages/contracts"],
  "packages/telemetry": ["packages/contracts"],
  "packages/sdk": ["packages/contracts", "packages/event-log", "packages/telemetry"],
  "packages/program": ["packages/contracts", "packages/event-log", "packages/telemetry", "packages/watchdog"],
  "services/coordinator": SERVICE(),
  "services/step-worker": SERVICE(),
  "packages/testing": [
    ...["packages/contracts", "packages/event-log", "packages/sdk"],
    ...["services/coordinator", "services/step-worker"],
  ],
  "packages/cli": [
    ...["packages/contracts", "packages/event-log", "packages/sdk", "packages/program", "packages/watchdog"],
    ...["services/coordinator", "services/step-worker", "infra"],
  ],
};

function SERVICE() {
  return ["contracts", "event-log", "sdk", "telemetry", "watchdog", "program"].map((name) => `packages/${name}`);
}

/** Inside a service: what the files of a folder may import of this workspace, besides that folder. */
const COORDINATOR = "services/coordinator/src";
const WORKER = "services/step-worker/src";
const LAYERS = {
  [`${COORDINATOR}/run/`]: ["packages/contracts/", "packages/sdk/", "packages/watchdog/"],
  [`${COORDINATOR}/audit/`]: ["packages/contracts/", `${COORDINATOR}/run/`],
  [`${COORDINATOR}/shell/`]: [
    ...["contracts", "event-log", "sdk", "telemetry", "watchdog"].map((name) => `packages/${name}/`),
    ...[`${COORDINATOR}/run/`, `${COORDINATOR}/audit/`],
  ],
  [`${WORKER}/attempt/`]: ["packages/contracts/", "packages/sdk/"],
  [`${WORKER}/shell/`]: [
    ...["contracts", "event-log", "sdk", "telemetry", "watchdog"].map((name) => `packages/${name}/`),
    `${WORKER}/attempt/`,
  ],
};

/** The pure core. Of Node's modules it uses these, which do no I/O: */
const PURE = [`^${COORDINATOR}/(run|audit)/`, `^${WORKER}/attempt/`];
const NO_IO = "^(assert/strict|async_hooks|crypto|util)$";

const OURS = "^(packages|services|infra|test|docs|examples|bench|scripts)/";
/** Also `template`, which the command line copies: it is a project by itself. */
const TESTS = "(\\.test\\.ts$|/test/|/template/)";

const named = (layer) => layer.replace(/\/$/, "");

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...Object.entries({ ...PACKAGES, ...LAYERS }).map(([layer, may]) => ({
      name: named(layer),
      comment:
        `${named(layer)} may import ${may.map(named).join(", ") || "no other package of this workspace"}. Move what ` +
        "is needed to one of those, or pass it as an argument.",
      severity: "error",
      from: { path: `^${named(layer)}/`, pathNot: TESTS },
      to: { path: OURS, pathNot: [layer, ...may].map((path) => `^${named(path)}/`) },
    })),
    {
      name: "pure-core",
      comment: "The pure core does no I/O: what it needs comes as an argument. The modules without I/O are in NO_IO.",
      severity: "error",
      from: { path: PURE, pathNot: TESTS },
      to: { dependencyTypes: ["core"], pathNot: NO_IO },
    },
    {
      name: "programs",
      comment: "Only the programs of a service (main.ts, program.ts) use packages/program.",
      severity: "error",
      from: { path: "^services/[^/]+/src/", pathNot: "^services/[^/]+/src/(main|program)\\.ts$" },
      to: { path: "^packages/program/" },
    },
    {
      name: "entry",
      comment: "A main.ts is a program: it is started, not imported.",
      severity: "error",
      from: { path: OURS, pathNot: "\\.cjs$" },
      to: { path: "/main\\.ts$", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "tests",
      comment: "Product code imports no tests, and nothing of test/: move what both need beside the product code.",
      severity: "error",
      from: { path: "^(packages|services|infra)/", pathNot: TESTS },
      to: { path: ["\\.test\\.ts$", "^test/", "^(packages|services)/[^/]+/test/"] },
    },
    {
      name: "unresolved",
      comment: "There is no such file or package.",
      severity: "error",
      from: { path: OURS, pathNot: TESTS },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(dist|cache)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".mjs", ".cjs", ".js"],
    },
  },
};
