import { step } from "@stepstream/sdk";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createCoordinator } from "./coordinator.ts";

const js = (value: unknown) => value as never;
const given = (options: object) => () => createCoordinator(js({ workflows: [], ...options }));
const s = step("s", { input: z.any(), output: z.any() });

describe("a coordinator, from JavaScript,", () => {
  it.each<[string, () => unknown]>([
    [
      "Invalid workflow of a coordinator undefined. Use what workflow(…) returned.",
      () => createCoordinator({ workflows: [js(undefined)] }),
    ],
    [
      'Invalid workflow of a coordinator "order". Use what workflow(…) returned.',
      () => createCoordinator({ workflows: [js("order")] }),
    ],
    [
      "Invalid workflow of a coordinator (an object). Use what workflow(…) returned.",
      () => createCoordinator({ workflows: [js(s)] }),
    ],
    ["Invalid workflows of a coordinator undefined. Use an array.", () => createCoordinator(js({}))],
    ["Invalid options of a coordinator undefined. Use an object.", () => createCoordinator(js(undefined))],
    ["Invalid watchdog 5. Use false or { stallMs }.", given({ watchdog: 5 })],
    ["Invalid watchdog true. Use false or { stallMs }.", given({ watchdog: true })],
    [
      'Invalid option "stallMS" of watchdog. Use "stallMs". Did you mean "stallMs"?',
      given({ watchdog: { stallMS: 1 } }),
    ],
    ['Invalid watchdog.stallMs "5s". Use 500 to 600000 milliseconds.', given({ watchdog: { stallMs: "5s" } })],
    ["Invalid onEvent 5. Use a function.", given({ onEvent: 5 })],
    ["Invalid boundary 5. Use a function.", given({ boundary: 5 })],
    ["Invalid keepPositions 1. Use true or false.", given({ keepPositions: 1 })],
    ['Invalid telemetry "on". Use an object.', given({ telemetry: "on" })],
    ["Invalid clock 5. Use an object.", given({ clock: 5 })],
    ['Invalid namespace "a.b". Use 1 to 32 of A-Z a-z 0-9 _ -.', given({ namespace: "a.b" })],
    ["Invalid namespace 5. Use 1 to 32 of A-Z a-z 0-9 _ -.", given({ namespace: 5 })],
    ["Invalid partitions 0. Use a whole number from 1 to 4096.", given({ partitions: 0 })],
    ['Invalid nats 4222. Use a URL such as "localhost:4222", several, or a connection.', given({ nats: 4222 })],
    ["Invalid waitMs -1. Use a whole number from 0.", given({ waitMs: -1 })],
    ["Invalid onWaiting 5. Use a function.", given({ onWaiting: 5 })],
    ["Invalid signal 5. Use an AbortSignal.", given({ signal: 5 })],
    ["Invalid settings.idleMs of a coordinator -1. Use a whole number from 0.", given({ settings: { idleMs: -1 } })],
    ["Invalid options of settings of a coordinator 5. Use an object.", given({ settings: 5 })],
    ['Invalid option "onEvnt" of a coordinator. Use "nats", ', given({ onEvnt: () => {} })],
    [' Did you mean "onEvent"?', given({ onEvnt: () => {} })],
    [' Did you mean "workflows"?', given({ workflow: [] })],
    [' Did you mean "idleMs"?', given({ settings: { idleMS: 5 } })],
  ])("refuses what is wrong where it is written: %s", (message, define) => {
    expect(define).toThrow(RangeError);
    expect(define).toThrow(message);
  });

  it("takes what says how to wait for a server", () => {
    const { signal } = new AbortController();
    expect(given({ waitMs: Number.POSITIVE_INFINITY, onWaiting: () => {}, signal })).not.toThrow();
  });

  it("takes a setting that is undefined for one that is not given", () => {
    expect(given({ settings: { idleMs: undefined }, onEvent: undefined, watchdog: undefined })).not.toThrow();
  });
});
