/** Handlers for `node services/step-worker/src/main.ts` that end their process. */
import { setTimeout as sleep } from "node:timers/promises";
import type { HandlerInput } from "@stepstream/sdk";
import type { StepContext } from "@stepstream/step-worker";
import { fatal } from "./steps.ts";

const kept: unknown[] = [];

export const handlers = [
  {
    step: fatal,
    async handler({ ms, end }: HandlerInput<typeof fatal>, ctx: StepContext<typeof fatal>) {
      console.log(`handling ${ctx.run}`);
      const until = Date.now() + ms;
      while (Date.now() < until) {
        ctx.heartbeat();
        await sleep(Math.min(100, Math.max(0, until - Date.now())), undefined, { signal: ctx.signal });
      }
      if (end === "SIGKILL") process.kill(process.pid, "SIGKILL");
      if (end === "exit") process.exit(3);
      while (end === "memory") kept.push(new Array(100_000).fill({ kept }));
      return ms;
    },
  },
];
