import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "@stepstream/infra";

const HELP = `Measures what the place of the sender in the subjects of inboxes costs, on a nats-server of its own: one stream for each
layout, all with the same messages (a start and two outcomes for each run), read in turns.

  node bench/inbox-layout.ts [--runs 230000] [--reads 200]

Docs: docs/adr/0021-a-subject-for-each-sender.md`;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "230000" },
    reads: { type: "string", default: "200" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const [runs, reads] = [Number(values.runs), Number(values.reads)];
const PARTITIONS = 16;
const MESSAGES = ["client", "worker", "worker"];
const LAYOUTS = {
  none: (p: number, run: string, _sender: string) => `none.inbox.${p}.${run}`,
  last: (p: number, run: string, sender: string) => `last.inbox.${p}.${run}.${sender}`,
  middle: (p: number, run: string, sender: string) => `middle.inbox.${p}.${sender}.${run}`,
};
type Layout = keyof typeof LAYOUTS;

const ofEach = (layout: Layout) => (p: number, run: string) =>
  ["client", "worker", "coordinator"].map((sender) => LAYOUTS[layout](p, run, sender));
/** What reads all of a run; several filters are read at the same time. */
const READS: readonly { layout: Layout; what: string; filters: (p: number, run: string) => string[] }[] = [
  { layout: "none", what: "<p>.<run>", filters: (p, run) => [LAYOUTS.none(p, run, "")] },
  { layout: "last", what: "<p>.<run>.*", filters: (p, run) => [LAYOUTS.last(p, run, "*")] },
  { layout: "last", what: "<p>.<run>.<each sender>", filters: ofEach("last") },
  { layout: "middle", what: "<p>.*.<run>", filters: (p, run) => [LAYOUTS.middle(p, run, "*")] },
  { layout: "middle", what: "<p>.<each sender>.<run>", filters: ofEach("middle") },
];

const server = await startNatsServer();
const nc = await connect({ servers: server.url });
let count = 0;
try {
  for (const layout of Object.keys(LAYOUTS) as Layout[]) await fill(layout);
  const spent = READS.map(() => ({ all: [] as number[], last: [] as number[], lasts: [] as number[] }));
  for (let i = 0; i < reads; i++) {
    const run = (i * 7_919) % runs;
    for (const [which, { layout, filters }] of READS.entries()) {
      const asked = filters(run % PARTITIONS, `run-${run}`);
      spent[which]!.all.push(await timed(() => Promise.all(asked.map((filter) => read(layout, filter)))));
      spent[which]!.last.push(await timed(() => Promise.all(asked.map((filter) => last(layout, filter)))));
      spent[which]!.lasts.push(await timed(() => lasts(layout, asked)));
    }
  }
  console.log(
    `ms to read one run's inbox, to ask the leader for its last message, and a replica for the last of each subject: median / 95th percentile of ${reads}`,
  );
  for (const [which, { what }] of READS.entries())
    console.log(
      `  ${what.padEnd(24)} ${shown(spent[which]!.all)}   ${shown(spent[which]!.last)}   ${shown(spent[which]!.lasts)}`,
    );
} finally {
  await nc.close();
  await server.stop();
}

async function api(
  what: string,
  body: object = {},
): Promise<{ state: { messages: number; num_subjects: number; subjects?: object } }> {
  return (await nc.request(`$JS.API.${what}`, JSON.stringify(body), { timeout: 60_000 })).json();
}

async function fill(layout: Layout): Promise<void> {
  const before = await memory();
  await api(`STREAM.CREATE.${layout}`, {
    name: layout,
    subjects: [`${layout}.>`],
    storage: "file",
    allow_direct: true,
  });
  const body = '{"v":1,"type":"StepCompleted","slot":1,"step":"charge","attempt":1}';
  for (let from = 0; from < runs; from += 2_000) {
    for (const sender of MESSAGES)
      for (let run = from; run < Math.min(runs, from + 2_000); run++)
        nc.publish(LAYOUTS[layout](run % PARTITIONS, `run-${run}`, sender), body);
    await api(`STREAM.INFO.${layout}`);
  }
  const all = async () => (await api(`STREAM.INFO.${layout}`)).state;
  while ((await all()).messages < runs * MESSAGES.length) await setTimeout(10);
  const { num_subjects } = await all();
  const grown = (await memory()) - before;
  let listed: object = {};
  const listing = await timed(async () => {
    listed = (await api(`STREAM.INFO.${layout}`, { subjects_filter: `${layout}.inbox.3.>` })).state.subjects ?? {};
  });
  const many = (n: number) => n.toLocaleString("en");
  const list = `${many(Object.keys(listed).length)} of a partition listed in ${listing.toFixed(0)} ms`;
  console.log(
    `${layout}: ${many(runs)} runs, ${many(num_subjects)} subjects, ${grown} MiB more in nats-server; ${list}`,
  );
}

/** What nats-server has in memory, in MiB. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024);
}

function read(stream: string, next_by_subj: string): Promise<void> {
  return direct(stream, { seq: 1, next_by_subj, batch: 1_000 });
}

function lasts(stream: string, multi_last: readonly string[]): Promise<void> {
  return direct(stream, { multi_last, batch: 100 });
}

async function direct(stream: string, ask: object): Promise<void> {
  const reply = `_READ.${++count}`;
  const sub = nc.subscribe(reply);
  nc.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(ask), { reply });
  for await (const msg of sub) if (msg.data.length === 0) break;
}

async function last(stream: string, last_by_subj: string): Promise<void> {
  await nc.request(`$JS.API.STREAM.MSG.GET.${stream}`, JSON.stringify({ last_by_subj }));
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await act();
  return performance.now() - since;
}

function shown(all: readonly number[]): string {
  const sorted = all.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)]!.toFixed(2);
  return `${at(0.5)} / ${at(0.95)}`;
}
