import type { RunEvent } from "@stepstream/contracts";
import { expect, it } from "vitest";
import { Recorder } from "./recorder.ts";

/** 30 MB, once in memory. */
const json = JSON.stringify("x".repeat(30_000_000));
const ask = (recorder: Recorder, slot: number) =>
  recorder.decide({ type: "StepScheduled", slot, step: "add" } as RunEvent, { key: "input", json });

it("what a turn decides is the run's fault as soon as it is too large together, with what to do", () => {
  const recorder = new Recorder("r1", []);
  for (let slot = 1; slot <= 8; slot++) ask(recorder, slot);
  expect(recorder.fault).toBeUndefined();
  ask(recorder, 9);
  expect(recorder.fault).toMatchObject({
    code: "MESSAGE_TOO_LARGE",
    message: expect.stringMatching(/a decision of run r1: it has 27\d{7} bytes.*w\.map\(\) and its concurrency/),
  });
  expect(recorder.take()).toEqual([]);
});

it("what several turns decide is not counted together", () => {
  const recorder = new Recorder("r1", []);
  for (let slot = 1; slot <= 20; slot++) {
    ask(recorder, slot);
    expect(recorder.take()).toHaveLength(1);
  }
  expect(recorder.fault).toBeUndefined();
});
