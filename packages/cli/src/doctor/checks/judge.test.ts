import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import { Subjects } from "@stepstream/contracts";
import { streamsOf } from "@stepstream/event-log/jetstream";
import { describe, expect, it } from "vitest";
import type { Need } from "../../permissions/need.ts";
import type { SeenCoordinator, SeenWorker } from "../../roll-call.ts";
import type { Check, Finding } from "../check.ts";
import type { StreamState } from "../target.ts";
import { account } from "./account.ts";
import { causes } from "./causes.ts";
import { clocks } from "./clocks.ts";
import { consumers } from "./consumers.ts";
import { coordinators } from "./coordinators.ts";
import { deadLetters } from "./dead-letters.ts";
import { denied } from "./denied.ts";
import { durability } from "./durability.ts";
import { health } from "./health.ts";
import { parked } from "./parked.ts";
import { partitions } from "./partitions.ts";
import { permissions } from "./permissions.ts";
import { replicas } from "./replicas.ts";
import { server } from "./server.ts";
import { storage } from "./storage.ts";
import { stranded } from "./stranded.ts";
import { streams } from "./streams.ts";
import { waiting } from "./waiting.ts";
import { workers } from "./workers.ts";

/** What the checks conclude from what they read (K1). That they read it, on real servers: test/cli/doctor. */
type Facts<C> = C extends Check<infer F> ? F : never;

const subjects = new Subjects("shop", 2);
const specs = streamsOf(subjects, 3);
const state = (name: string, settings: object = {}, more: object = {}): StreamState => {
  const wished = specs.find((one) => one.name === name)!;
  const config = { ...wished, ...settings };
  return { wished, found: { config, state: { messages: 10, bytes: 1_000 }, ...more } as unknown as StreamInfo };
};
const need: Need = { role: "worker", does: "publish", allow: "", why: "" };
const peer = (said: object = {}) => ({ name: "b", current: true, active: 0, ...said });
const replicated = (said: object, cluster: object = { leader: "a" }) => ({
  name: "shop_EVENTS",
  replicas: 3,
  cluster: { ...cluster, replicas: [peer(said), { ...peer(), name: "c" }] } as never,
});
const coordinator = (said: Partial<SeenCoordinator> = {}): SeenCoordinator => ({
  workflows: ["order@1"],
  code: { "order@1": "c0de" },
  release: "0.1.0",
  aheadMs: 0,
  denied: [],
  ...said,
});
const worker = (said: Partial<SeenWorker["steps"][number]> = {}): SeenWorker => ({
  steps: [{ step: "charge", concurrency: 10, running: 0, breaker: "closed", ...said }],
  release: "0.1.0",
  aheadMs: 0,
  denied: [],
});
const consumer = (said: object = {}) =>
  ({
    stream_name: "shop_EVENTS",
    name: "inbox-0",
    num_pending: 0,
    num_ack_pending: 0,
    delivered: { consumer_seq: 7 },
    config: { filter_subject: "shop.inbox.0.>", ack_policy: "explicit", deliver_policy: "all", max_deliver: -1 },
    ...said,
  }) as unknown as ConsumerInfo;

const healthy = {
  server: { name: "n", version: "2.15.1", maxPayload: 1_048_576, jetstream: true },
  health: [{ url: "http://n:8222", server: "n", sync: "always", store: { max: 100, used: 10 } }],
  account: { storage: 1_000, maxStorage: -1, consumers: 4, maxConsumers: -1, streams: 5, maxStreams: -1 },
  permissions: { namespace: "shop", roles: ["client"], denied: [], excess: [] },
  denied: { coordinators: new Map([["c-1", coordinator()]]), workers: new Map([["w", worker()]]) },
  streams: specs.map(({ name }) => state(name)),
  replicas: { first: [replicated({})], second: [replicated({})] },
  storage: specs.map(({ name }) => ({ stream: name, tookMs: 2 })),
  durability: {
    replicas: 3,
    servers: 3,
    dev: false,
    monitored: ["a", "b", "c"].map((url) => ({ url, sync: "always" })),
  },
  clocks: { here: { aheadMs: 3, errorMs: 1 }, processes: [{ name: "worker w", aheadMs: -20, errorMs: 4 }] },
  coordinators: {
    coordinators: new Map([
      ["c-1", coordinator()],
      ["c-2", coordinator()],
    ]),
    workers: new Map([["w", worker()]]),
  },
  partitions: { partitions: 2, waiting: [0, 1].map((partition) => ({ partition, messages: 3, touched: true })) },
  consumers: {
    wished: [{ stream: "shop_EVENTS", name: "inbox-0", filter: "shop.inbox.0.>", about: "partition 0", taken: true }],
    first: new Map([["shop_EVENTS inbox-0", consumer()]]),
    second: new Map<string, ConsumerInfo>(),
  },
  workers: { workers: new Map([["w", worker()]]), commands: new Map([["charge", 3]]), consumers: [] as ConsumerInfo[] },
  waiting: { oldest: [{ step: "charge", ageMs: 900, waiting: 2 }], maxWaitMs: 1_000 },
  stranded: [] as string[],
  causes: { runs: 3, all: true, missing: new Map<string, string[]>() },
  parked: { count: 0, some: [] as { run: string; code: string }[] },
  "dead-letters": { count: 0, ageMs: 0 },
};

const found = <C extends Check>(one: C, facts: Facts<C>): Finding[] => one.judge(facts);

describe("nothing is wrong", () => {
  const all = [
    ...[
      server,
      health,
      account,
      permissions,
      denied,
      streams,
      replicas,
      storage,
      durability,
      clocks,
      coordinators,
      partitions,
    ],
    ...[consumers, workers, waiting, stranded, causes, parked, deadLetters],
  ];
  it.each(all.map((one) => [one.name, one] as const))("with a healthy %s", (name, one) => {
    const findings = one.judge(healthy[name as keyof typeof healthy] as never);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
  });

  it("with one replica on a development server", () => {
    const [finding] = found(durability, { ...healthy.durability, replicas: 1, servers: 1, monitored: [], dev: true });
    expect(finding).toMatchObject({ level: "ok", seen: expect.stringContaining("one replica") });
  });

  it("with a replica that catches up between two looks", () => {
    const first = [replicated({ current: false, lag: 900 })];
    const second = [replicated({ current: false, lag: 20 })];
    expect(found(replicas, { first, second })).toMatchObject([{ level: "ok" }]);
  });

  it("with a step whose worker has no free place", () => {
    const [wished] = healthy.consumers.wished;
    const look = new Map([["shop_EVENTS inbox-0", consumer({ num_pending: 5 })]]);
    const facts = { wished: [{ ...wished!, taken: false }], first: look, second: look };
    expect(found(consumers, facts)).toMatchObject([{ level: "ok" }]);
  });
});

const waits = new Map([["shop_EVENTS inbox-0", consumer({ num_pending: 5 })]]);
const inbox0 = (said: object) => ({ ...healthy.consumers, first: new Map([["shop_EVENTS inbox-0", consumer(said)]]) });
const breakerOpen = new Map([["w", worker({ breaker: "open" })]]);

describe("an error, with what to do, is", () => {
  it.each<[string, Finding[], seen: string, todo: string]>([
    ["an old server", found(server, { ...healthy.server, version: "2.11.9" }), "2.11.9", "Upgrade"],
    ["JetStream that is off", found(server, { ...healthy.server, jetstream: false }), "off", "-js"],
    [
      "a full disk, by the monitoring port",
      found(health, [{ url: "http://n:8222", fault: "JetStream stream 'A > S' write error: no space left on device" }]),
      "write error",
      "restart this nats-server",
    ],
    ["a server that is down", found(health, [{ url: "http://n:8222", silent: "refused" }]), "no answer", "Start that"],
    [
      "a server whose store is nearly full",
      found(health, [{ url: "http://n:8222", store: { max: 100, used: 80 } }]),
      "80 % of its max_file_store",
      "Raise max_file_store",
    ],
    [
      "an account that is nearly full",
      found(account, { ...healthy.account, storage: 90, maxStorage: 100 }),
      "90 %",
      "delete runs",
    ],
    [
      "an account without room for consumers",
      found(account, { ...healthy.account, consumers: 4, maxConsumers: 4 }),
      "all of the 4 consumers",
      "Raise max_consumers",
    ],
    [
      "a permission that is missing",
      found(permissions, {
        ...{ namespace: "shop", roles: ["worker"], excess: [] },
        denied: [{ ...need, allow: "$JS.ACK.shop_COMMANDS.step-a.*.*.*.*.*", why: "each command is redelivered" }],
      }),
      "worker: each command is redelivered",
      "Allow the user to publish to $JS.ACK.shop_COMMANDS.step-a.*.*.*.*.*.",
    ],
    [
      "what a process was denied",
      found(denied, {
        coordinators: new Map([["c-1", coordinator({ denied: ["publish $JS.ACK.shop_EVENTS.>"] })]]),
        workers: new Map(),
      }),
      "publish to $JS.ACK.shop_EVENTS.> was denied to coordinator c-1",
      "Allow their user to publish to $JS.ACK.shop_EVENTS.>",
    ],
    ["a stream that is gone", found(streams, [{ wished: specs[0]! }]), "does not exist", "create it again"],
    ["a stream without an answer", found(streams, [{ wished: specs[0]!, why: "timeout" }]), "timeout", "no leader"],
    ["an age limit on EVENTS", found(streams, [state("shop_EVENTS", { max_age: 1e9 })]), "max_age", "stream edit"],
    [
      "a COMMANDS that keeps two of a subject",
      found(streams, [state("shop_COMMANDS", { max_msgs_per_subject: 2 })]),
      "max_msgs_per_subject is 2",
      "created again",
    ],
    [
      "TIMERS without schedules",
      found(streams, [state("shop_TIMERS", { allow_msg_schedules: undefined })]),
      "allow_msg_schedules",
      "created again",
    ],
    [
      "a limit on consumers",
      found(streams, [state("shop_EVENTS", { max_consumers: 3 })]),
      "max_consumers is 3",
      "edit",
    ],
    ["a stream that is sealed", found(streams, [state("shop_EVENTS", { sealed: true })]), "sealed is true", "edit"],
    [
      "a stream without its subjects",
      found(streams, [state("shop_EVENTS", { subjects: ["shop.inbox.>"] })]),
      "shop.journal.>",
      "Add the subjects",
    ],
    ["a stream that is nearly full", found(streams, [state("shop_EVENTS", { max_msgs: 11 })]), "91 %", "Raise it"],
    ["a stream that is full", found(streams, [state("shop_EVENTS", { max_bytes: 1_000 })]), "100 %", "Raise it"],
    [
      "a replica that is offline",
      found(replicas, { first: [], second: [replicated({ offline: true })] }),
      "on b is offline",
      "Start nats-server b",
    ],
    [
      "a replica that is not heard of",
      found(replicas, { first: [], second: [replicated({ active: 7e9 })] }),
      "on b has not answered for 7 s",
      "Start nats-server b",
    ],
    [
      "a replica that lags",
      found(replicas, {
        first: [replicated({ current: false, lag: 500 })],
        second: [replicated({ current: false, lag: 510 })],
      }),
      "510 operations behind",
      "restart nats-server b",
    ],
    ["no leader", found(replicas, { first: [], second: [replicated({}, {})] }), "no leader", "more than half"],
    [
      "a store that refuses",
      found(storage, [
        {
          stream: "shop_EVENTS",
          tookMs: 1,
          fault: { at: "store", kind: "refused", code: 10_077, why: "maximum bytes exceeded" },
        },
      ]),
      "maximum bytes exceeded (10077)",
      "Raise max_bytes",
    ],
    [
      "a store that is silent",
      found(storage, [
        { stream: "shop_EVENTS", tookMs: 1, fault: { at: "store", kind: "silent", code: 0, why: "timeout" } },
      ]),
      "a message was not stored",
      "restart nats-server",
    ],
    ["one replica", found(durability, { ...healthy.durability, replicas: 1 }), "loss of the machine", "three replicas"],
    ["two replicas", found(durability, { ...healthy.durability, replicas: 2 }), "stops everything", "three replicas"],
    [
      "three replicas that sync every two minutes",
      found(durability, { ...healthy.durability, monitored: [{ url: "a", sync: "120 s" }] }),
      "every 120 s",
      "sync_interval: always",
    ],
    [
      "a process with a wrong clock",
      found(clocks, { ...healthy.clocks, processes: [{ name: "worker w", aheadMs: 120_000, errorMs: 4 }] }),
      "120.000 s (±4 ms) ahead of",
      "NTP",
    ],
    [
      "this machine with a wrong clock",
      found(clocks, { ...healthy.clocks, here: { aheadMs: -4_000, errorMs: 1 } }),
      "4.000 s (±1 ms) behind",
      "NTP",
    ],
    [
      "no coordinator",
      found(coordinators, { coordinators: new Map(), workers: new Map() }),
      "no coordinator",
      "Start one",
    ],
    [
      "coordinators with different workflows",
      found(coordinators, {
        coordinators: new Map([
          ["c-1", coordinator()],
          ["c-2", coordinator({ workflows: ["order@1", "order@2"] })],
        ]),
        workers: new Map(),
      }),
      "order@2 is run by 1 of 2 coordinators, and not by c-1",
      "Finish the deployment",
    ],
    [
      "coordinators with different code of one version",
      found(coordinators, {
        coordinators: new Map([
          ["c-1", coordinator()],
          ["c-2", coordinator({ code: { "order@1": "0ther" } })],
        ]),
        workers: new Map(),
      }),
      "order@1 has 2 different codes in c-1 (c0de), c-2 (0ther)",
      "Finish the deployment",
    ],
    [
      "processes of different releases",
      found(coordinators, {
        ...healthy.coordinators,
        workers: new Map([["w", { ...worker(), release: "0.2.0" }]]),
      }),
      "0.2.0: worker w",
      "Finish the upgrade",
    ],
    [
      "a partition without a coordinator",
      found(partitions, { partitions: 2, waiting: [{ partition: 1, messages: 4, touched: false }] }),
      "1 hold messages",
      "Start a coordinator",
    ],
    [
      "a partition that is behind",
      found(partitions, { partitions: 2, waiting: [{ partition: 1, messages: 1_001, touched: true }] }),
      "1,001 messages",
      "more coordinators",
    ],
    [
      "a consumer that is gone",
      found(consumers, { ...healthy.consumers, first: new Map() }),
      "does not exist",
      "creates it again",
    ],
    ["a consumer that is paused", found(consumers, inbox0({ paused: true })), "paused", "nats consumer resume"],
    [
      "a consumer with another filter",
      found(consumers, inbox0({ config: { ...consumer().config, filter_subject: "shop.inbox.1.>" } })),
      "filter_subject is shop.inbox.1.>",
      "nats consumer rm shop_EVENTS inbox-0",
    ],
    ["a consumer without a leader", found(consumers, inbox0({ cluster: {} })), "no leader", "Start the servers"],
    [
      "messages that no process takes",
      found(consumers, { ...healthy.consumers, first: waits, second: waits }),
      "5 messages of partition 0 wait, and none was taken",
      "CONSUMER.MSG.NEXT",
    ],
    [
      "commands without a worker",
      found(workers, { ...healthy.workers, commands: new Map([["ship", 1]]) }),
      "1 command and no worker",
      "Start a worker",
    ],
    [
      "an open breaker",
      found(workers, { ...healthy.workers, workers: breakerOpen }),
      "open in w",
      "what this step calls",
    ],
    [
      "a handler that was started twice",
      found(workers, { ...healthy.workers, workers: new Map([["w", worker({ startedTwice: 3 })]]) }),
      "3 handlers started twice in the last hour, as worker w found",
      "StepStartedTwice",
    ],
    [
      "too many commands taken",
      found(workers, {
        ...healthy.workers,
        consumers: [consumer({ name: "step-charge", num_ack_pending: 90, config: { max_ack_pending: 100 } })],
      }),
      "90 of the 100",
      "look at what fails",
    ],
    [
      "a command that waits for long",
      found(waiting, { ...healthy.waiting, oldest: [{ step: "charge", ageMs: 61_000, waiting: 7 }] }),
      "1 min old, of 7",
      "Start more workers",
    ],
    [
      "a run that waits for what is not stored",
      found(causes, { runs: 3, all: true, missing: new Map([["r-1", ["the timer of slot 2"]]]) }),
      "1 run of 3 wait for what is not stored, or will not come, such as run r-1: the timer of slot 2",
      "stores it again within a minute",
    ],
    [
      "a command that no worker will get",
      found(stranded, ["shop.command.charge.0.r.1"]),
      "1 command will not reach a worker",
      "Do not purge",
    ],
    [
      "a parked run",
      found(parked, { count: 7, some: [{ run: "order-1", code: "STALLED" }] }),
      "7 runs are parked: order-1 (STALLED) and 6 more",
      "stepstream show order-1",
    ],
    ["a new dead letter", found(deadLetters, { count: 2, ageMs: 5_000 }), "2, the last 5 s ago", "stepstream dead ls"],
  ])("%s", (_, findings, seen, todo) => {
    expect(findings[0]).toMatchObject({ level: "error" });
    expect(findings[0]!.seen).toContain(seen);
    expect(findings[0]!.todo).toContain(todo);
  });
});

describe("advice is given about", () => {
  it.each<[string, Finding[], todo: string]>([
    ["small payloads", found(server, { ...healthy.server, maxPayload: 65_536 }), "max_payload"],
    ["no monitoring port", found(health, []), "--monitor"],
    ["a sync interval that is not known", found(durability, { ...healthy.durability, monitored: [] }), "--monitor"],
    [
      "a single coordinator",
      found(coordinators, { ...healthy.coordinators, coordinators: new Map([["c", coordinator()]]) }),
      "two or more",
    ],
    ["no worker at all", found(workers, { workers: new Map(), commands: new Map(), consumers: [] }), "Start one"],
    ["old dead letters", found(deadLetters, { count: 2, ageMs: 90_000_000 }), "stepstream dead ls"],
    [
      "a user that may do more than its role needs",
      found(permissions, {
        ...{ namespace: "shop", roles: ["worker"], denied: [] },
        excess: [{ ...need, role: "coordinator", allow: "shop.journal.>", why: "no run continues" }],
      }),
      "stepstream namespace permissions shop",
    ],
    [
      "a store that is not tried",
      found(storage, [
        { stream: "shop_DEAD", tookMs: 1, fault: { at: "store", kind: "forbidden", code: 0, why: "denied" } },
      ]),
      "as an operator",
    ],
    ["a server whose time is not known", found(clocks, { here: undefined, processes: [] }), "streams"],
  ])("%s", (_, findings, todo) => {
    expect(findings.map(({ level }) => level)).toEqual(["warn"]);
    expect(findings[0]!.todo).toContain(todo);
  });
});
