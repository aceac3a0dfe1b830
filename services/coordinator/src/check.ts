import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { Decision, decode, InboxMessage, isTerminal } from "@stepstream/contracts";
import type { EventLog, Stored } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import type { AnyWorkflow, HistoryEntry } from "@stepstream/sdk";
import { builtinWorkflows } from "@stepstream/sdk/builtin";
import { giveUp, loadWorkflows } from "./program.ts";
import { type RecordedRun, replayRun } from "./run/replay.ts";

const HELP = `Would this code go on with the runs that are under way? Replays their histories against it, and writes nothing.

  node services/coordinator/src/check.ts [options] <module> [<module> …]

Each module exports workflows, as for the coordinator. Do it before you deploy a change of workflow code.

Options
  --nats <url>          default: NATS_URL, or nats://127.0.0.1:4222
  --namespace <name>    default: STEPSTREAM_NAMESPACE, or "default"
  --workflow <name>     only runs of this workflow
  --all                 runs that are over as well
  --file <history.json> instead of the bus: {"run": "<id>", "history": <what run.history() gave>}; may be repeated
  --json                a line of JSON for each run
  -h, --help

Exit code: 0 if all would go on, 1 if one would not, 2 if nothing could be checked.`;

const { values, positionals } = readArgs();
if (values.help || positionals.length === 0) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}

const workflows = new Map<string, AnyWorkflow>();
for (const workflow of [...builtinWorkflows, ...(await loadWorkflows(positionals))])
  workflows.set(`${workflow.name}@${workflow.version}`, workflow);

const counts = { same: 0, other: 0, unknown: 0 };
const source = values.file ? fromFiles(values.file) : fromBus();
for await (const recorded of source) await check(recorded);

if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
if (!values.json)
  console.log(
    `${counts.same} would go on, ${counts.other} would not` +
      (counts.unknown > 0 ? `, ${counts.unknown} are of workflows or versions that these modules do not have` : ""),
  );
process.exitCode = counts.other > 0 ? 1 : counts.same === 0 ? 2 : 0;

async function check(recorded: RecordedRun): Promise<void> {
  const started = recorded.inbox[0]?.message;
  if (started?.type !== "RunStarted" || (values.workflow && started.workflow !== values.workflow)) return;
  const over = recorded.decisions.at(-1)?.events.some(isTerminal);
  if (over && !values.all && !values.file) return;
  const workflow = workflows.get(`${started.workflow}@${started.version}`);
  const fault = workflow && (await replayRun(workflow, recorded));
  counts[!workflow ? "unknown" : fault ? "other" : "same"]++;
  const { run } = recorded;
  const version = `${started.workflow}@${started.version}`;
  if (values.json) {
    const verdict = !workflow ? "unknown" : fault ? "diverges" : "same";
    console.log(JSON.stringify({ run, workflow: version, verdict, ...(fault && { error: fault.message }) }));
  } else if (fault) console.error(`run ${run} (${version}): ${fault.message}\n`);
  else if (!workflow) console.error(`run ${run}: ${version} is not in these modules`);
  if (process.stderr.isTTY && !values.json)
    process.stderr.write(`\r${counts.same + counts.other + counts.unknown} runs checked `);
}

async function* fromBus(): AsyncGenerator<RecordedRun> {
  const log = await connectEventLog({ nats: values.nats, namespace: values.namespace, name: "check" }).catch(giveUp);
  for (let p = 0; p < log.subjects.partitions; p++)
    for (const subject of (await log.list("EVENTS", log.subjects.all.inbox(p))).keys())
      yield await recordOf(log, log.subjects.parse(subject)!.run);
  await log.close();
}

async function recordOf(log: EventLog, run: string): Promise<RecordedRun> {
  const [inbox, journal] = await Promise.all([
    log.read(log.subjects.inbox(run), { fresh: true }),
    log.read(log.subjects.journal(run), { fresh: true }),
  ]);
  const place = ({ subject, seq }: Stored) => `${subject} #${seq}`;
  return {
    run,
    inbox: inbox.map((stored) => ({ ...stored, message: decode(InboxMessage, stored.text, place(stored)) })),
    decisions: journal.map((stored) => decode(Decision, stored.text, place(stored))),
  };
}

async function* fromFiles(files: readonly string[]): AsyncGenerator<RecordedRun> {
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(giveUp);
    const { run, history } = JSON.parse(text) as { run: string; history: HistoryEntry[] };
    if (!run || !Array.isArray(history)) giveUp(`${file} holds no {"run": …, "history": […]}.`, 2);
    yield {
      run,
      inbox: history.flatMap((entry) => (entry.kind === "inbox" ? [entry] : [])),
      decisions: history.flatMap((entry) => (entry.kind === "journal" ? [entry.message] : [])),
    };
  }
}

function readArgs() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        nats: { type: "string", default: process.env.NATS_URL ?? "nats://127.0.0.1:4222" },
        namespace: { type: "string", default: process.env.STEPSTREAM_NAMESPACE ?? "default" },
        workflow: { type: "string" },
        all: { type: "boolean", default: false },
        file: { type: "string", multiple: true },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return giveUp(`${(error as Error).message}\nSee --help.`, 2);
  }
}
