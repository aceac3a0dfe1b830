/**
 * Random bytes, and real messages with random faults, on every kind of subject, stored and live: all processes stay up,
 * runs that they are not about end with the right results, and everything starts again on what is stored.
 *
 * FUZZ_SEED=<seed> repeats what was thrown; FUZZ_MESSAGES=<n> throws more.
 */
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import { bystander } from "./programs/contained/bystander.ts";

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const MESSAGES = Number(process.env.FUZZ_MESSAGES ?? 4_000);
const VICTIMS = ["victim-1", "victim-2", "victim-3"];

let server: TestServer;
let bus: NatsConnection;
let scene: ContainmentScene;

beforeAll(async () => {
  server = await startTestServer();
  bus = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  scene = new ContainmentScene(server, `fuzz-${process.pid}`, []);
});
afterAll(async () => {
  await scene?.close();
  await bus?.close();
  await server?.stop();
});

/** A real message, as it was heard. */
interface Sample {
  subject: string;
  text: string;
}

/** One to be thrown: what it is made of is chosen by numbers, so that a seed says all. */
interface Throw {
  kind: number;
  sample: number;
  run: number;
  slot: number;
  token: string;
  faults: readonly (readonly [what: number, where: number, how: number])[];
  bytes: Uint8Array;
  header: number;
}

const aThrow: fc.Arbitrary<Throw> = fc.record({
  kind: fc.nat(),
  sample: fc.nat(),
  run: fc.nat(),
  slot: fc.oneof(fc.nat({ max: 12 }), fc.nat()),
  token: fc.stringMatching(/^[A-Za-z0-9_-]{1,70}$/),
  faults: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { maxLength: 4 }),
  bytes: fc.uint8Array({ maxLength: 300 }),
  header: fc.nat({ max: 9 }),
});

const KINDS = [
  "inbox",
  "journal",
  "attempts",
  "parked",
  "command",
  "timer",
  "due",
  "dead",
  "presence",
  "roll-call",
  "workers",
  "cancel",
  "breaker",
  "query",
  "guest",
  "guest-query",
  "live",
  "blob",
];

/** A value in the place of another. */
const ODD: readonly unknown[] = [
  null,
  true,
  "",
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  2 ** 31,
  "x".repeat(5_000),
  [],
  {},
  [[[[]]]],
  "bystander-1",
  "a.b.*.>",
  "\ud800",
  2,
  "RunStarted",
  { v: 1, type: "Ref", key: `victim-1/${"0".repeat(64)}`, bytes: 2 ** 40, chunk: 1 },
];

describe(`with seed ${SEED}`, () => {
  it("nothing that comes from the bus stops a process or another run", { timeout: 180_000 }, async () => {
    await scene.open();
    const ns = scene.namespace;
    const samples = await listen(ns);
    const ids = coordinatorsIn(samples);
    for (const id of VICTIMS) await scene.start(bystander, { every: 50 }, id);
    const before = linesOf();

    for (const [i, one] of fc.sample(aThrow, { seed: SEED, numRuns: MESSAGES }).entries()) {
      const subject = subjectOf(one, ns, ids);
      if (/[\s]|\.\.|^\.|\.$/.test(subject)) continue;
      bus.publish(subject, bodyOf(one, samples), { headers: headersOf(one) });
      // As fast as the server takes them.
      if (i % 200 === 199) await bus.flush();
    }
    await bus.flush();
    await scene.othersAreWell();
    // Thousands of messages; what is logged of them is bounded by the kinds there are, the processes and the time.
    expect(linesOf() - before).toBeLessThan(MESSAGES / 4);
    for (const args of [["ls"], ["dead", "ls"], ["queue"]]) {
      const ran = await scene.cli(args);
      expect(ran, `${args.join(" ")}: ${ran.err}`).toMatchObject({ code: 0 });
    }

    await scene.restart();
    await scene.othersAreWell();
    const fresh = await scene.start(bystander, { every: 50 }, "after-all");
    await fresh.signal("finish", true);
    expect(await fresh.result({ timeout: "20s" })).toEqual({ rounds: expect.any(Number) });
  });
});

function linesOf(): number {
  return scene.coordinators.flatMap(({ lines }) => lines).filter((line) => /"level":[45]0/.test(line)).length;
}

/** What goes over the bus while runs are in progress. */
async function listen(ns: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  const sub = bus.subscribe(`${ns}.>`, {
    callback: (_, msg) => void samples.push({ subject: msg.subject, text: msg.string() }),
  });
  await bus.flush();
  const one = await scene.start(bystander, { every: 50 }, "sample");
  await one.update("add", 1);
  await one.query("rounds");
  const other = await scene.start(bystander, { every: 100_000 }, "sample-2");
  await other.cancel();
  await one.terminate();
  await scene.cli(["queue"]);
  sub.unsubscribe();
  const kinds = new Set(samples.map(({ subject }) => subject.split(".")[1]));
  for (const kind of ["inbox", "journal", "command", "presence", "workers", "query", "live"])
    expect(kinds).toContain(kind);
  return samples.filter(({ text }) => text !== "");
}

function coordinatorsIn(samples: readonly Sample[]): string[] {
  return [...new Set(samples.flatMap(({ text }) => /"type":"Presence","id":"([^"]+)"/.exec(text)?.[1] ?? []))];
}

function subjectOf({ kind, run, slot, token }: Throw, ns: string, ids: readonly string[]): string {
  const { subjects } = scene.log;
  const name = KINDS[kind % KINDS.length]!;
  // Never the bystanders: who may publish there may tell them anything.
  const runs = [...VICTIMS, "nobody", token, `${token}.x`];
  const id = runs[run % runs.length]!;
  const partition = slot % 7 === 6 ? slot % 5 : subjects.partition(id);
  const number = slot % 11 === 10 ? token : slot;
  const step = ["tick", "nobody", token][slot % 3]!;
  switch (name) {
    case "inbox":
    case "journal":
    case "parked":
    case "query":
      return `${ns}.${name}.${partition}.${id}`;
    case "attempts":
    case "timer":
    case "due":
      return `${ns}.${name}.${partition}.${id}.${number}`;
    case "command":
    case "dead":
      return `${ns}.${name}.${step}.${partition}.${id}.${number}`;
    case "cancel":
      return `${ns}.cancel.${id}`;
    case "breaker":
      return `${ns}.breaker.${step}`;
    case "guest":
      return `${ns}.guest.${ids[slot % ids.length]}`;
    case "guest-query":
      return `${ns}.guest-query.${ids[slot % ids.length]}.${id}`;
    case "live":
      return `${ns}.live.journal.${partition}.${id}`;
    case "blob":
      return `${ns}.blob.${id}.${"0".repeat(64)}.${number}`;
    default:
      return `${ns}.${name}`;
  }
}

function bodyOf({ kind, sample, faults, bytes, run }: Throw, samples: readonly Sample[]): string | Uint8Array {
  if (sample % 5 === 0) return bytes;
  const name = KINDS[kind % KINDS.length]!;
  const alike = samples.filter(({ subject }) => subject.split(".")[1] === name);
  // Mostly what belongs there.
  const from = alike.length > 0 && sample % 4 !== 0 ? alike : samples;
  // Of the presence of coordinators that are up, the readable ones would be true.
  let text = from[sample % from.length]!.text.replaceAll(
    /"(bystander|sample)-?\d*"/g,
    `"${VICTIMS[run % VICTIMS.length]}"`,
  );
  for (const fault of faults) text = broken(text, fault);
  return text;
}

function broken(text: string, [what, where, how]: readonly [number, number, number]): string {
  if (text === "") return text;
  const at = where % text.length;
  switch (what % 8) {
    case 0: // a bit
      return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << (how % 7))) + text.slice(at + 1);
    case 1: // the end is missing
      return text.slice(0, at);
    case 2: // twice
      return text.slice(0, at) + text.slice(Math.max(0, at - (how % 40)));
    case 3: // deep
      return text.replace(/:("[^"]*"|\d+)/, `:${"[".repeat(how % 3_000)}${"]".repeat(how % 3_000)}`);
    default:
      return inJson(text, what % 8, where, how);
  }
}

/** A key is dropped, is given another value, or a message is given another's version or type. */
function inJson(text: string, what: number, where: number, how: number): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const places: [Record<string, unknown>, string][] = [];
  const walk = (at: unknown, depth = 0) => {
    if (typeof at !== "object" || at === null || depth > 20) return;
    for (const key of Object.keys(at)) {
      places.push([at as Record<string, unknown>, key]);
      walk((at as Record<string, unknown>)[key], depth + 1);
    }
  };
  walk(value);
  if (places.length === 0) return text;
  const [object, key] = places[where % places.length]!;
  if (what === 4) delete object[key];
  else if (what === 5) (value as Record<string, unknown>).v = ODD[how % ODD.length];
  else object[key] = ODD[how % ODD.length];
  return JSON.stringify(value);
}

function headersOf({ header, slot, token }: Throw) {
  const hdrs = headers();
  if (header === 0) hdrs.set("Stepstream-Ref", "0".repeat(64));
  if (header === 1) hdrs.set("Nats-Msg-Id", `bystander-${slot % 12}.${slot}.${slot * 7}.1.done`);
  if (header === 2) hdrs.set("Nats-Sequence", `${slot}`);
  if (header === 3) hdrs.set("Nats-Schedule", `@at ${new Date(slot * 1_000).toISOString()}`);
  if (header === 4) hdrs.set(token.replaceAll("_", "-"), token);
  return hdrs;
}
