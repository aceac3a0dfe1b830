/** Workflows and steps that the tests of the coordinator run, in this process and in others. */

import { exponential, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const numbers = { input: z.number(), output: z.number() };
const quick = { retry: { maxAttempts: 5, backoff: exponential({ initial: "20ms", max: "100ms" }) } };

export const add = step("add", { ...numbers, ...quick });
/** Takes as many milliseconds as its input says. */
export const nap = step("nap", { ...numbers, ...quick, heartbeat: "1s" });
export const undo = step("undo", { input: z.string(), output: z.void() });

export const chain = workflow("chain", numbers, async (n, w) => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = await w.run(add, sum);
  return sum;
});

export const fan = workflow("fan", numbers, async (n, w) => {
  const parts = await w.map(
    Array.from({ length: n }, (_, i) => i),
    (i) => w.run(add, i),
    { concurrency: 100 },
  );
  return parts.reduce((a, b) => a + b, 0);
});

export const nights = workflow("nights", { input: z.array(z.number()), output: z.number() }, async (naps, w) => {
  for (const ms of naps) {
    await w.run(nap, ms);
    await w.sleep(ms);
  }
  return naps.length;
});

export const doomed = workflow("doomed", numbers, async (n, w) => {
  await w.run(add, n);
  w.compensate(undo, "first");
  await w.run(nap, n);
  return n;
});

export const workflows = [chain, fan, nights, doomed];
