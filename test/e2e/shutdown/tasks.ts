/** A step that takes as long as it is asked to: for coordinators (workflows) and workers (handlers). */
import { step, workflow } from "@stepstream/sdk";
import type { StepContext } from "@stepstream/step-worker";
import { z } from "zod";

const Task = z.object({
  ms: z.number(),
  /** Whether the handler stops when it is asked to, and cleans up first. */
  heeds: z.boolean(),
});

export const long = step("long", { input: Task, output: z.string(), concurrency: 10, timeout: { attempt: "20m" } });

export const task = workflow("task", { input: Task, output: z.string() }, (input, w) => w.run(long, input));

const pause = (ms: number, signal?: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

async function handler({ ms, heeds }: z.infer<typeof Task>, ctx: StepContext<typeof long>): Promise<string> {
  ctx.log.info("begun", { deliveredAttempt: ctx.attempt, details: ctx.heartbeatDetails });
  // What was begun before is continued: by another worker in an instant.
  if (ctx.heartbeatDetails !== undefined) return `attempt ${ctx.attempt}, continued`;
  await pause(ms, heeds ? ctx.signal : undefined);
  if (!ctx.signal.aborted || !heeds) return `attempt ${ctx.attempt}`;
  ctx.heartbeat({ cleanedUp: true });
  throw ctx.signal.reason;
}

export const handlers = [{ step: long, handler }];
