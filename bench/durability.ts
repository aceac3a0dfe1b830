import { parseArgs } from "node:util";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { startNatsCluster, startNatsServer } from "@stepstream/infra";
import { surroundings } from "./src/print.ts";
import { startSide } from "./src/side.ts";
import { startSink } from "./src/sink.ts";
import { percentile } from "./src/stats.ts";

const HELP = `Measures what durability costs: one nats-server or three, that sync to disk every two minutes or always.

  node bench/durability.ts [options]

Options
  --duration <seconds>  of each figure; default 5
  --json                the figures as JSON
  -h, --help

The servers and the processes of the engine are all on this machine: three servers share its processors and its disk, which
three machines would not. What each set-up survives is in docs/concepts/guarantees.md.`;

const { values } = parseArgs({
  options: {
    duration: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const durationMs = 1_000 * Number(values.duration);
if (!(durationMs >= 100 && durationMs <= 60_000)) {
  console.error("--duration is a number of seconds from 0.1 to 60.");
  process.exit(2);
}

/** Appends on their way at a time. */
const IN_FLIGHT = 256;
const RUNS = 300;

interface Figures {
  setup: string;
  /** Messages that were acknowledged, per second, IN_FLIGHT at a time. */
  acknowledgedPerS: number;
  /** Whole runs of five steps, per second, RUNS at a time. */
  runsPerS: number;
  /** From start to end of a run of five steps, one at a time. */
  p50Ms: number;
}

const SETUPS = [
  { replicas: 1, sync: "2m" },
  { replicas: 1, sync: "always" },
  { replicas: 3, sync: "2m" },
  { replicas: 3, sync: "always" },
] as const;

async function start({ replicas, sync }: (typeof SETUPS)[number]) {
  if (replicas === 1) {
    const server = await startNatsServer({ syncInterval: sync });
    return { url: server.url, stop: server.stop };
  }
  const cluster = await startNatsCluster({ sync: [sync, sync, sync] });
  if (!cluster) throw new Error("Three servers need the nats-server binary, not a container.");
  return { url: cluster.urls.join(","), stop: cluster.stop };
}

async function measure(setup: (typeof SETUPS)[number]): Promise<Figures> {
  const server = await start(setup);
  try {
    const bus = { nats: server.url, namespace: "durability" };
    // Three servers take a moment to choose a leader.
    const options = { replicas: setup.replicas, waitMs: 30_000 };
    // In a namespace of their own: coordinators sweep what is of no run.
    const appended = await connectEventLog({ ...bus, ...options, namespace: "appends" });
    const acknowledgedPerS = await appends(appended);
    await appended.close();
    const log = await connectEventLog({ ...bus, ...options });
    await log.close();
    const sink = await startSink();
    const side = await startSide("engine", { ...bus, shape: "chain" }, { endpoint: sink.endpoint });
    try {
      await side.measure({ concurrency: RUNS, durationMs: durationMs / 5 }); // warms up
      const many = await side.measure({ concurrency: RUNS, durationMs });
      const single = await side.measure({ concurrency: 1, durationMs });
      return {
        setup: `R${setup.replicas}, ${setup.sync === "always" ? "always" : "default"}`,
        acknowledgedPerS: Math.round(acknowledgedPerS),
        runsPerS: Math.round((1_000 * many.runs) / many.tookMs),
        p50Ms: Number(percentile(single.latenciesMs, 0.5).toFixed(1)),
      };
    } finally {
      await side.stop();
      sink.close();
    }
  } finally {
    await server.stop();
  }
}

async function appends(log: Awaited<ReturnType<typeof connectEventLog>>): Promise<number> {
  const text = JSON.stringify({ v: 1, type: "Bench", padding: "x".repeat(200) });
  let acknowledged = 0;
  const begin = performance.now();
  const keepBusy = async (lane: number) => {
    for (let n = 1; performance.now() - begin < durationMs; n++) {
      await log.append(log.subjects.attempts(`bench-${lane}`, n), text);
      acknowledged++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, lane) => keepBusy(lane)));
  return (1_000 * acknowledged) / (performance.now() - begin);
}

const where = await surroundings();
const rows: Figures[] = [];
for (const setup of SETUPS) {
  rows.push(await measure(setup));
  console.error(JSON.stringify(rows.at(-1)));
}
if (values.json) console.log(JSON.stringify({ where, durationS: durationMs / 1_000, rows }, null, 2));
else {
  console.log(`\n${where}\n`);
  console.log("| | acknowledged messages/s | runs of five steps/s | one at a time, p50 |");
  console.log("|---|---|---|---|");
  for (const { setup, acknowledgedPerS, runsPerS, p50Ms } of rows)
    console.log(`| ${setup} | ${acknowledgedPerS.toLocaleString("en")} | ${runsPerS} | ${p50Ms} ms |`);
}
