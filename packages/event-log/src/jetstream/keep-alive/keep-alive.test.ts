import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import { systemClock } from "../../clock.ts";
import type { NatsTarget } from "../link.ts";
import { startKeepAlive } from "./keep-alive.ts";

const start = (nats: unknown) =>
  startKeepAlive({
    nats: nats as NatsTarget,
    name: "test",
    clock: systemClock,
    ackWaitMs: 10_000,
    onTrouble: () => {},
  });

it.each<[string, unknown, string]>([
  ["an open connection", { publish: connect }, "this process was given an open connection"],
  [
    "settings that no thread can be given",
    { servers: "127.0.0.1:1", inboxPrefix: () => "x" },
    "cannot be passed to a thread",
  ],
])("there is no keep-alive thread for %s, and it says so", (_what, nats, why) => {
  expect(start(nats)).toContain(why);
});

it("takes any number of deliveries, and each row again", () => {
  const keepAlive = start("127.0.0.1:1");
  if (typeof keepAlive === "string") throw new Error(keepAlive);
  const held = Array.from({ length: 200 }, (_, n) => keepAlive.hold(`$JS.ACK.${n}`, 1_000)!);
  expect(new Set(held).size).toBe(200);
  for (const kept of held) expect(kept.lastAt).toBe(0);
  for (const kept of held) kept.release();
  const again = Array.from({ length: 200 }, (_, n) => keepAlive.hold(`$JS.ACK.again.${n}`, 1_000)!);
  expect(new Set([...held, ...again]).size).toBe(200);
  expect(keepAlive.hold("x".repeat(465), 1_000)).toBeUndefined();
  keepAlive.stop();
});
