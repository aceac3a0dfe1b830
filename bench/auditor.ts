import { parseArgs } from "node:util";
import { type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { startNatsServer } from "@stepstream/infra";
import { connect, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

const HELP = `Measures what the auditor costs: processor time of a coordinator with many live runs in which nothing happens.

  node bench/auditor.ts [options]

Options
  --runs <n>      live runs (default 10,000): half of them wait for a step without a worker, half for a timer
  --ended <n>     runs that are over (default 0)
  --seconds <n>   of each measurement (default 60)
  -h, --help

Server in a process of its own. Three measurements of one coordinator: when it has just taken the runs over, when it knows all of
them, and, to compare, without an auditor. Docs: docs/benchmarks.md`;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "10000" },
    ended: { type: "string", default: "0" },
    seconds: { type: "string", default: "60" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const int = { input: z.int(), output: z.int() };
const never = step("never", int);
const queued = workflow("queued", int, (n, w) => w.run(never, n));
const sleeper = workflow("sleeper", int, async (n, w) => {
  await w.sleep("24h");
  return n;
});
const brief = workflow("brief", int, async (n) => n);
const workflows = [queued, sleeper, brief];

const server = await startNatsServer();
const nats = server.url;
const log = await connectEventLog({ nats, namespace: "bench" });
const client = await connect({ log });

function coordinate(settings: object, onEvent: (event: CoordinatorEvent) => void = () => {}) {
  return createCoordinator({ nats, namespace: "bench", workflows, settings, onEvent }).start();
}

async function start(count: number, pick: (i: number) => (typeof workflows)[number], name: string): Promise<void> {
  for (let from = 0; from < count; from += 500)
    await Promise.all(
      Array.from({ length: Math.min(500, count - from) }, (_, i) =>
        client.start(pick(from + i), from + i, { id: `${name}-${from + i}` }),
      ),
    );
}

/** Of this process, in percent of a core. */
async function cpu(seconds: number): Promise<string> {
  const before = process.cpuUsage();
  const at = performance.now();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const { user, system } = process.cpuUsage(before);
  return `${((user + system) / 10 / (performance.now() - at)).toFixed(2)} %`;
}

const quiet = { auditMs: 0 };
const first = await coordinate(quiet);
await start(Number(values.ended), () => brief, "ended");
await start(Number(values.runs), (i) => workflows[i % 2]!, "live");
const floors = async () => {
  const backlog = await log.backlog("EVENTS");
  return [...backlog.values()].reduce((sum, { waiting, taken }) => sum + waiting + taken, 0);
};
while ((await floors()) > 0) await new Promise((resolve) => setTimeout(resolve, 200));
await first.stop();

const seconds = Number(values.seconds);
const problems: CoordinatorEvent[] = [];
const second = await coordinate({}, (event) => {
  if (["repaired", "swept", "trouble"].includes(event.type)) problems.push(event);
});
console.log(`${values.runs} live runs, ${values.ended} that are over; processor time of the coordinator, of one core:`);
console.log(`after it has taken them over   ${await cpu(seconds)}`);
await cpu(30);
console.log(`when it knows them             ${await cpu(seconds)}`);
await second.stop();
const third = await coordinate(quiet);
await cpu(20);
console.log(`without an auditor             ${await cpu(seconds)}`);
await third.stop();
if (problems.length > 0) console.log(`${problems.length} events, e.g. ${JSON.stringify(problems[0])}`);
await client.close();
await log.close();
await server.stop();
process.exit(0);
