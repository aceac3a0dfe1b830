import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { parseArgs } from "node:util";
import { runCli } from "@stepstream/cli";
import type { Sender } from "@stepstream/contracts";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { startNatsServer } from "@stepstream/infra";

const HELP = `Measures \`stepstream ls\` over many runs, on a nats-server of its own.

  node bench/read-model.ts [--runs 100000]

Each run has the four messages of a run of one step, as a coordinator and a worker write them: start, decision, result,
end. Times are of the command in this process; the start of Node.js (about 0.3 s) comes on top.`;

const { values } = parseArgs({
  options: { runs: { type: "string", default: "100000" }, help: { type: "boolean", short: "h", default: false } },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const count = Number(values.runs);
const server = await startNatsServer();
const log = await connectEventLog({ nats: server.url, namespace: "many" });
const cache = join(tmpdir(), `stepstream-bench-${process.pid}`);
try {
  const begin = performance.now();
  const { subjects } = log;
  const append = (subject: string, message: object) => log.append(subject, JSON.stringify({ v: 1, ...message }));
  for (let from = 0; from < count; from += 1_000)
    await Promise.all(
      Array.from({ length: Math.min(1_000, count - from) }, async (_, i) => {
        const run = `order-${from + i}`;
        const journal = (upTo: number, event: object) =>
          append(subjects.journal(run), { type: "Decision", upTo, by: "bench", events: [event] });
        const inbox = (sender: Sender, message: object) => append(subjects.inboxFrom(sender, run), message);
        const started = await inbox("client", {
          type: "RunStarted",
          id: run,
          workflow: "order",
          version: 1,
          input: { run },
        });
        await journal(started.seq, { type: "StepScheduled", slot: 1, step: "charge", input: { run } });
        const done = await inbox("worker", {
          type: "StepCompleted",
          slot: 1,
          step: "charge",
          attempt: 1,
          output: { run },
        });
        if (i % 10 > 0) await journal(done.seq, { type: "RunCompleted", output: { run } });
      }),
    );
  console.log(`${count.toLocaleString("en")} runs stored in ${seconds(begin)}`);
  await look("the first look, which builds the file", "ls");
  await look("the second", "ls");
  await look("of one state", "ls --status running --limit 1000");
  await look("counted", "ls --count");
  await append(subjects.inboxFrom("client", "one-more"), {
    type: "RunStarted",
    id: "x",
    workflow: "order",
    version: 1,
    input: {},
  });
  await look("after one more run", "ls --limit 1");
  await look("built anew", "ls --rebuild");
} finally {
  await log.close();
  await server.stop();
  rmSync(cache, { recursive: true, force: true });
}

async function look(what: string, args: string): Promise<void> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const begin = performance.now();
  const code = await runCli(args.split(" "), {
    in: process.stdin,
    out: nowhere,
    err: nowhere,
    env: { NATS_URL: server.url, STEPSTREAM_NAMESPACE: "many", XDG_CACHE_HOME: cache },
    cwd: ".",
    signal: new AbortController().signal,
    now: Date.now,
  });
  if (code !== 0) throw new Error(`stepstream ${args} ended with ${code}`);
  console.log(`${what.padEnd(40)} ${seconds(begin)}`);
}

function seconds(begin: number): string {
  return `${((performance.now() - begin) / 1_000).toFixed(2)} s`;
}
