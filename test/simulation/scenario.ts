/** What is simulated: the workflows of ./model.ts, who runs them, what clients do with their runs, and what is checked. */
import { scheduleWorkflow } from "@stepstream/sdk/schedule";
import type { Scenario } from "@stepstream/testing";
import { checkExpected, type Model } from "./expected.ts";
import { DEPLOYED_AFTER_MS, desk, expectGuarded, greet, limited, mended, saga, schedule, workflows } from "./model.ts";
import { outside } from "./outside.ts";
import { handlers } from "./steps.ts";

/** For the judgement: the new code, which has both ways. */
const judged: Model = {
  workflows: [...workflows.filter(({ name }) => name !== "mended"), mended(true)],
  known: { guarded: expectGuarded },
  patch: { workflow: "mended", step: "beat" },
};

export const model: Scenario = {
  workflows,
  steps: handlers,
  start: (chance, i) => {
    const workflow = chance.pick(workflows.filter((one) => one !== greet));
    if (workflow === scheduleWorkflow) return { workflow, input: schedule(chance, `s${i}`) };
    const input = {
      width: 1 + chance.int(4),
      ms: chance.pick([5, 100, 2_000, 8_000]),
      fails: chance.pick([0, 0.1, 0.4]),
    };
    if (workflow !== limited) return { workflow, input };
    return { workflow, input, options: { delay: chance.int(5_000), timeout: 5_000 + chance.int(20_000) } };
  },
  // Not every coordinator knows every workflow: some runs have to be handed on.
  hosts: (coordinator) => (coordinator === 2 ? workflows.filter((w) => w !== desk && w !== saga) : workflows),
  deploy: { after: DEPLOYED_AFTER_MS, workflows: [mended(true)] },
  outside,
  check: (run, world) => checkExpected(run, world, judged),
};
