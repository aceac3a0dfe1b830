import { connectEventLog } from "@stepstream/event-log/jetstream";
import { startNatsServer } from "@stepstream/infra";
import type { Sample } from "./role.ts";
import type { Shape, ShapeName } from "./shapes.ts";
import { ROLES, type Role, type Side, type SideName, startSide } from "./side.ts";
import { type Received, type Sink, startSink } from "./sink.ts";
import { percentile, type Spread, spread } from "./stats.ts";

export interface Plan {
  shapes: readonly Shape[];
  concurrencies: readonly number[];
  rounds: number;
  durationMs: number;
  sides: readonly SideName[];
  profileDir?: string | undefined;
  say: (line: string) => void;
}

/** One side in one shape at one concurrency, over all rounds. */
export interface Figures {
  runsPerS: Spread;
  stepsPerS: number;
  p50Ms: number;
  p99Ms: number;
  runs: number;
  /** Of each process, in microseconds for each step. */
  cpuPerStep: Record<Role, number>;
}

export interface Row {
  shape: ShapeName;
  title: string;
  concurrency: number;
  sides: Partial<Record<SideName, Figures>>;
  /** Runs per second of each side but the last over those of the last, round by round. */
  ratios: Partial<Record<SideName, Spread>>;
}

/** What one run leaves in the log: two sides must not differ. */
type Footprint = { messages: number; bytes: number };

export interface Report {
  rows: Row[];
  footprints: Partial<Record<SideName, Footprint>>[];
  /** The telemetry of each side that has some, of all shapes and rounds. */
  received: Partial<Record<SideName, Received>>;
}

type Measured = Sample & { cpuMicros: Record<Role, number> };

/**
 * Measures the sides in turns, A B A B …: noise of the machine hits them alike, and each round gives one ratio.
 *
 * Each shape gets a server of its own, so that no shape pays for the subjects that another has left.
 */
export async function measure(plan: Plan): Promise<Report> {
  const report: Report = { rows: [], footprints: [], received: {} };
  for (const shape of plan.shapes) {
    const server = await startNatsServer();
    const sinks: Partial<Record<SideName, Sink>> = {};
    const sides: Side[] = [];
    try {
      for (const name of plan.sides) {
        const sink = await startSink();
        sinks[name] = sink;
        const setting = { nats: server.url, namespace: name, shape: shape.name };
        sides.push(await startSide(name, setting, { profileDir: plan.profileDir, endpoint: sink.endpoint }));
      }
      const footprints: Report["footprints"][number] = {};
      for (const concurrency of plan.concurrencies) {
        const row = await measureRow(plan, shape, concurrency, sides, async (name, run) => {
          footprints[name] ??= await footprintOf(server.url, name, run);
        });
        report.rows.push(row);
      }
      report.footprints.push(footprints);
    } finally {
      await Promise.all(sides.map((side) => side.stop()));
      for (const [name, { received, close }] of Object.entries(sinks) as [SideName, Sink][]) {
        close();
        addTo(report.received, name, received);
      }
      await server.stop();
    }
  }
  return report;
}

function addTo(sums: Report["received"], side: SideName, received: Received): void {
  for (const [path, { requests, bytes }] of Object.entries(received)) {
    sums[side] ??= {};
    sums[side][path] ??= { requests: 0, bytes: 0 };
    sums[side][path].requests += requests;
    sums[side][path].bytes += bytes;
  }
}

async function measureRow(
  plan: Plan,
  shape: Shape,
  concurrency: number,
  sides: readonly Side[],
  onRun: (side: SideName, run: string) => Promise<void>,
): Promise<Row> {
  const samples: Partial<Record<SideName, Measured[]>> = {};
  for (const { name } of sides) samples[name] = [];
  // Round 0 warms up.
  for (let round = 0; round <= plan.rounds; round++)
    for (const side of sides) {
      const sample = await side.measure({ concurrency, durationMs: plan.durationMs });
      if (round > 0) samples[side.name]!.push(sample);
      else await onRun(side.name, sample.lastRun);
      const rate = Math.round((sample.runs / sample.tookMs) * 1_000);
      plan.say(`${shape.title}, ${concurrency} at a time, ${round || "warm-up"}: ${side.name} ${rate} runs/s`);
    }
  const row: Row = { shape: shape.name, title: shape.title, concurrency, sides: {}, ratios: {} };
  for (const { name } of sides) row.sides[name] = figures(samples[name]!, shape.steps);
  const others = sides.slice();
  const last = samples[others.pop()!.name]!;
  for (const { name } of others)
    row.ratios[name] = spread(samples[name]!.map((sample, n) => rate(sample) / rate(last[n]!)));
  return row;
}

const rate = ({ runs, tookMs }: Sample) => (runs / tookMs) * 1_000;

function figures(samples: readonly Measured[], steps: number): Figures {
  const latencies = samples.flatMap((sample) => sample.latenciesMs).sort((a, b) => a - b);
  const runsPerS = spread(samples.map(rate));
  const cpuPerStep = {} as Record<Role, number>;
  for (const role of ROLES)
    cpuPerStep[role] = samples.reduce((sum, s) => sum + s.cpuMicros[role], 0) / (latencies.length * steps);
  return {
    runsPerS,
    stepsPerS: runsPerS.median * steps,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    runs: latencies.length,
    cpuPerStep,
  };
}

/** Inbox and journal of one run. (Commands are gone by then.) */
async function footprintOf(nats: string, namespace: string, run: string): Promise<Footprint> {
  const log = await connectEventLog({ nats, namespace });
  const { subjects } = log;
  const stored = [...(await log.read(subjects.inbox(run))), ...(await log.read(subjects.journal(run)))];
  await log.close();
  return { messages: stored.length, bytes: stored.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) };
}
