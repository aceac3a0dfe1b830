import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import { Subjects } from "@stepstream/contracts";
import { streamsOf } from "@stepstream/event-log/jetstream";
import { describe, expect, it } from "vitest";
import type { Facts } from "./facts.ts";
import { judge } from "./judge.ts";

/** A namespace as it should be: three replicas, two coordinators, a worker. */
function healthy(): Facts {
  const streams = streamsOf(new Subjects("shop", 2), 3).map((wished) => ({
    wished,
    found: {
      config: { ...wished },
      state: { messages: 10, bytes: 1_000 },
      cluster: { leader: "a", replicas: [{ name: "b", current: true }] },
    } as unknown as StreamInfo,
  }));
  return {
    server: { name: "n", version: "2.15.1", maxPayload: 1_048_576, jetstream: true },
    rttMs: 1,
    skewMs: 3,
    account: { storage: 1_000, maxStorage: -1, apiErrors: 0 },
    namespace: "shop",
    partitions: 2,
    streams,
    inboxes: [0, 1].map((partition) => ({
      name: `inbox-${partition}`,
      partition,
      messages: 0,
      info: { num_pending: 0, num_ack_pending: 0 } as ConsumerInfo,
    })),
    steps: [],
    coordinators: new Map([
      ["c-1", ["order@1"]],
      ["c-2", ["order@1"]],
    ]),
    workers: new Map([["w-1", [{ step: "charge", breaker: "closed" }]]]),
    commands: new Map(),
    parked: [],
    deadLetters: 0,
    forbidden: [],
  };
}

function setting(facts: Facts, stream: string, settings: object): Facts {
  const one = facts.streams.find(({ wished }) => wished.name === stream)!;
  Object.assign(one.found!.config, settings);
  return facts;
}

const bad = (facts: Facts) => judge(facts).filter(({ level }) => level !== "ok");

it("finds nothing wrong where all is well", () => {
  expect(bad(healthy())).toEqual([]);
});

describe("an error is", () => {
  it.each<[string, (facts: Facts) => Facts, string]>([
    ["a server that is too old", (f) => ({ ...f, server: { ...f.server, version: "2.11.9" } }), "2.12 or newer"],
    ["JetStream that is off", (f) => ({ ...f, server: { ...f.server, jetstream: false } }), "-js"],
    [
      "a stream that is not there",
      (f) => ({ ...f, streams: f.streams.map(({ wished }) => ({ wished })) }),
      "makes what is missing",
    ],
    ["an age limit on EVENTS", (f) => setting(f, "shop_EVENTS", { max_age: 1e9 }), "nats stream edit shop_EVENTS"],
    [
      "a COMMANDS stream that keeps two of a subject",
      (f) => setting(f, "shop_COMMANDS", { max_msgs_per_subject: 2 }),
      "make it anew",
    ],
    ["TIMERS without schedules", (f) => setting(f, "shop_TIMERS", { allow_msg_schedules: undefined }), "make it anew"],
    [
      "a stream without its subjects",
      (f) => setting(f, "shop_EVENTS", { subjects: ["shop.inbox.>"] }),
      "Add the subjects",
    ],
    [
      "a replica that is offline",
      (f) => {
        f.streams[0]!.found!.cluster!.replicas![0]!.offline = true;
        return f;
      },
      "Bring that server back up",
    ],
    ["no coordinator", (f) => ({ ...f, coordinators: new Map() }), "Start one"],
    [
      "a partition that never had one",
      (f) => ({ ...f, inboxes: [{ name: "inbox-0", partition: 0, messages: 4 }] }),
      "Start a coordinator",
    ],
    ["commands that nobody takes", (f) => ({ ...f, commands: new Map([["ship", 4]]) }), "Start one"],
    [
      "what is not allowed",
      (f) => ({ ...f, forbidden: [{ what: "publish to x", why: "Permissions Violation" }] }),
      "$JS.API.>",
    ],
  ])("%s", (_, spoil, todo) => {
    const found = bad(spoil(healthy()));
    expect(found[0]).toMatchObject({ level: "error" });
    expect(found[0]!.todo).toContain(todo);
  });
});

describe("a warning is", () => {
  it.each<[string, (facts: Facts) => Facts, string]>([
    ["clocks that differ", (f) => ({ ...f, skewMs: -4_000 }), "NTP"],
    [
      "one replica",
      (f) => {
        for (const { found } of f.streams) Object.assign(found!.config, { num_replicas: 1 });
        return f;
      },
      "sync_interval: always",
    ],
    [
      "storage that is nearly full",
      (f) => ({ ...f, account: { storage: 90, maxStorage: 100, apiErrors: 0 } }),
      "Raise the limit",
    ],
    ["a stream that is nearly full", (f) => setting(f, "shop_EVENTS", { max_msgs: 11 }), "Raise it"],
    ["a single coordinator", (f) => ({ ...f, coordinators: new Map([["c-1", []]]) }), "two or more"],
    [
      "a coordinator that is behind",
      (f) => {
        f.inboxes[0]!.info!.num_pending = 5_000;
        return f;
      },
      "more coordinators",
    ],
    [
      "an open circuit breaker",
      (f) => ({ ...f, workers: new Map([["w", [{ step: "charge", breaker: "open" }]]]) }),
      "what these steps call",
    ],
    ["a parked run", (f) => ({ ...f, parked: ["order-1"] }), "stepstream show"],
    ["a dead letter", (f) => ({ ...f, deadLetters: 2 }), "stepstream dead ls"],
    ["small payloads", (f) => ({ ...f, server: { ...f.server, maxPayload: 65_536 } }), "max_payload"],
  ])("%s", (_, spoil, todo) => {
    const found = bad(spoil(healthy()));
    expect(found.map(({ level }) => level)).toEqual(["warn"]);
    expect(found[0]!.todo).toContain(todo);
  });

  it("not one replica that is synced to disk at once", () => {
    const facts = { ...healthy(), syncInterval: "always" };
    for (const { found } of facts.streams) Object.assign(found!.config, { num_replicas: 1 });
    expect(bad(facts)).toEqual([]);
  });
});
