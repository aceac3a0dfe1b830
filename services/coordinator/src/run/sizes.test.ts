import type { RunEvent } from "@stepstream/contracts";
import { step, workflow } from "@stepstream/sdk";
import { expect, it } from "vitest";
import { z } from "zod";
import { Play } from "./play.ts";

const any = { input: z.any(), output: z.any() };
const add = step("add", any);
/** 270 MB of JSON that take one MB of memory. */
const MEGABYTE = "x".repeat(1_000_000);
const large = () => Array(270).fill(MEGABYTE);

const codeOf = (error: { code: string }) => error.code;
const caught = (ask: () => unknown) => {
  try {
    ask();
    return undefined;
  } catch (error) {
    return codeOf(error as { code: string });
  }
};

it("a value that fits no message is refused where it is passed: the workflow can go on, and so can its replay", async () => {
  const greedy = workflow("greedy", { ...any, updates: { give: any } }, async (_, w) => {
    w.onUpdate("give", async () => large());
    const refused = [await w.run(add, large()).catch(codeOf), caught(() => w.sideEffect(large))];
    return [refused, await w.run(add, 1)];
  });
  const play = new Play(greedy);
  await play.start();
  const [answer] = (await play.update("give")).slice(-1);
  expect(answer).toMatchObject({ type: "UpdateFailed", error: { code: "MESSAGE_TOO_LARGE" } });
  await play.done(1, add, 2);
  expect(play.events.at(-1)).toMatchObject({
    type: "RunCompleted",
    output: [Array(2).fill("MESSAGE_TOO_LARGE"), 2],
  });
  expect(await play.replayed()).toBeUndefined();
}, 120_000);

it("an output that fits no message fails the run, and says how large it is", async () => {
  const play = new Play(workflow("greedy", any, async () => large()));
  await play.start();
  const failed = play.events.at(-1) as Extract<RunEvent, { type: "RunFailed" }>;
  const error = failed.error.cause ?? failed.error;
  expect(error).toMatchObject({
    code: "MESSAGE_TOO_LARGE",
    message: expect.stringMatching(/the output of workflow "greedy": it has 2700\d+ bytes, and the limit is 268369920/),
  });
});

it("an error with data that fits no message is kept without it", async () => {
  const failing = workflow("failing", any, async () => {
    throw Object.assign(new Error("no"), { details: large(), small: 1 });
  });
  const play = new Play(failing);
  await play.start();
  const failed = play.events.at(-1) as Extract<RunEvent, { type: "RunFailed" }>;
  expect(failed).toMatchObject({ type: "RunFailed", error: { cause: { data: { small: 1 }, message: "no" } } });
  expect(JSON.stringify(failed).length).toBeLessThan(20_000);
});
