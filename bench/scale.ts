import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Decision, InboxMessage } from "@stepstream/contracts";
import { type Coordinator, createCoordinator, replayRun } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { startNatsServer } from "@stepstream/infra";
import { connect, nothing, step, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { z } from "zod";

const HELP = `Measures what large runs, many timers and many starts cost, one after the other, on a nats-server of its own.

  node bench/scale.ts [options]

Options
  --only <names>    of: long, fan, timers, starts, lives; with commas
  --scale <x>       so much of the full size (default 1: 100,000 steps, 10,000 items, 100,000 timers, 10,000 starts)
  --json            the figures as JSON
  -h, --help

Server in a process of its own; coordinator, worker and client together in another. Docs: docs/benchmarks.md`;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "long,fan,timers,starts,lives" },
    scale: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const scale = Number(values.scale);
const only = new Set(values.only.split(","));
const sized = (n: number) => Math.max(1, Math.round(n * scale));

const work = step("work", { input: z.int(), output: z.int(), concurrency: 200 });
const long = workflow(
  "long",
  { input: z.int(), output: z.int(), signals: { end: nothing }, queries: { done: z.int() } },
  async (steps, w) => {
    let done = 0;
    w.onQuery("done", () => done);
    const items = Array.from({ length: steps }, (_, i) => i);
    const count = async (i: number) => {
      if ((await w.run(work, i)) > i) done++;
    };
    await w.map(items, count, { concurrency: 100 });
    await w.waitFor("end");
    return done;
  },
);
const fan = workflow(
  "fan",
  { input: z.object({ items: z.int(), concurrency: z.int() }), output: z.int() },
  async ({ items, concurrency }, w) => {
    const list = Array.from({ length: items }, (_, i) => i);
    return (await w.map(list, (i) => w.run(work, i), { concurrency })).length;
  },
);
const dreamer = workflow("dreamer", { input: z.void(), output: z.void() }, (_input, w) => w.sleep("365d"));
const one = workflow("one", { input: z.int(), output: z.int() }, (n, w) => w.run(work, n));
const lives = workflow(
  "lives",
  { input: z.int(), output: z.int(), signals: { end: nothing }, queries: { left: z.int() } },
  async (left, w) => {
    w.onQuery("left", () => left);
    await w.map([1, 2, 3, 4, 5], (i) => w.run(work, i));
    if (left > 1) return w.continueAsNew(left - 1);
    await w.waitFor("end");
    return 0;
  },
);

const server = await startNatsServer();
const bus = { nats: server.url, namespace: "scale" };
const log = await connectEventLog({ ...bus, partitions: 4 });
const client = await connect({ log });
let coordinator: Coordinator;
const boot = async () => {
  coordinator = await createCoordinator({ ...bus, workflows: [long, fan, dreamer, one, lives] }).start();
};
await boot();
const logger = { info() {}, warn() {}, error() {} };
const worker = await createWorker({ ...bus, logger })
  .handle(work, async (n) => n + 1)
  .start();

const figures: Record<string, string | number>[] = [];
function tell(what: string, figure: Record<string, string | number>): void {
  figures.push({ what, ...figure });
  if (!values.json)
    console.log(
      `${what.padEnd(34)} ${Object.entries(figure)
        .map(([k, v]) => `${k} ${v}`)
        .join(", ")}`,
    );
}
const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
async function timed<T>(act: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const since = performance.now();
  const value = await act();
  return { ms: performance.now() - since, value };
}
async function serverMb(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}
async function latencyMs(): Promise<string> {
  const all: number[] = [];
  for (let i = 0; i < 100; i++) all.push((await timed(async () => (await client.start(one, i)).result())).ms);
  return `${all.sort((a, b) => a - b)[50]!.toFixed(1)} ms`;
}
async function until(act: () => Promise<boolean>): Promise<void> {
  while (!(await act())) await new Promise((resolve) => setTimeout(resolve, 50));
}

if (only.has("long")) {
  const steps = sized(100_000);
  const run = await client.start(long, steps, { id: "long" });
  const { ms } = await timed(() =>
    until(async () => (await run.query("done", undefined, { timeout: "60s" })) === steps),
  );
  tell(`a run of ${steps} steps`, { took: seconds(ms), "steps/s": Math.round((steps / ms) * 1000) });
  await coordinator!.stop();
  await boot();
  const rebuilt = await timed(() => run.query("done", undefined, { timeout: "5m" }));
  tell("  a query by a coordinator that never saw it", { took: seconds(rebuilt.ms) });
  const ended = await timed(async () => {
    await run.signal("end");
    return run.result();
  });
  tell("  its signal, taken up and ended", { took: seconds(ended.ms), done: ended.value });
  const [inbox, journal] = await Promise.all([
    log.read(log.subjects.inbox("long")),
    log.read(log.subjects.journal("long")),
  ]);
  const recorded = {
    run: "long",
    inbox: inbox.map((stored) => ({ ...stored, message: InboxMessage.parse(JSON.parse(stored.text)) })),
    decisions: journal.map((stored) => Decision.parse(JSON.parse(stored.text))),
  };
  const replayed = await timed(() => replayRun(long, recorded));
  tell("  its replay, from memory", {
    took: seconds(replayed.ms),
    messages: inbox.length + journal.length,
    fault: String(replayed.value),
  });
}

if (only.has("fan")) {
  const items = sized(10_000);
  for (const concurrency of [100, items]) {
    const { ms } = await timed(async () => (await client.start(fan, { items, concurrency })).result());
    tell(`a fan-out of ${items}, ${concurrency} at a time`, {
      took: seconds(ms),
      "steps/s": Math.round((items / ms) * 1000),
    });
  }
}

if (only.has("starts")) {
  const runs = sized(10_000);
  const items = Array.from({ length: runs }, (_, input) => ({ input, id: `start-${input}` }));
  await coordinator!.stop();
  const started = await timed(() => client.startMany(one, items));
  tell(`${runs} starts, nobody takes them yet`, {
    took: seconds(started.ms),
    "starts/s": Math.round((runs / started.ms) * 1000),
  });
  await boot();
  const ended = await timed(() => Promise.all(items.map(({ id }) => client.handle(one, id).result())));
  tell("  until all of them have ended", { took: seconds(ended.ms) });
}

if (only.has("timers")) {
  const timers = sized(100_000);
  const before = { mb: await serverMb(), latency: await latencyMs() };
  const items = Array.from({ length: timers }, (_, i) => ({ input: undefined, id: `dream-${i}` }));
  const stored = await timed(async () => {
    await client.startMany(dreamer, items);
    await until(async () => (await log.list("TIMERS", "scale.timer.>")).size >= timers);
  });
  tell(`${timers} runs that sleep for a year`, {
    took: seconds(stored.ms),
    "runs/s": Math.round((timers / stored.ms) * 1000),
  });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  tell("  nats-server's memory", { before: `${before.mb} MB`, after: `${await serverMb()} MB` });
  tell("  one step's run, p50", { before: before.latency, after: await latencyMs() });
  await coordinator!.stop();
  await boot();
  tell("  and after another coordinator took over", { p50: await latencyMs() });
}

if (only.has("lives")) {
  const n = sized(1_000);
  const run = await client.start(lives, n, { id: "lives" });
  const { ms } = await timed(() => until(async () => (await run.query("left", undefined, { timeout: "60s" })) === 1));
  tell(`${n} lives of 5 steps`, { took: seconds(ms), "lives/s": Math.round((n / ms) * 1000) });
  await coordinator!.stop();
  await boot();
  const rebuilt = await timed(() => run.query("left", undefined, { timeout: "60s" }));
  tell("  a query by a coordinator that never saw it", { took: seconds(rebuilt.ms) });
}

if (values.json) console.log(JSON.stringify(figures));
await coordinator!.stop();
await worker.stop({ drainMs: 0 });
await client.close();
await log.close();
await server.stop();
process.exit(0);
