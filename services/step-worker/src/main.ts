#!/usr/bin/env node
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { AnyStep } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { createWorker, type Handler, type Worker, type WorkerEvent } from "./index.ts";

const HELP = `Runs steps.

  node services/step-worker/src/main.ts [options] <module> [<module> …]

Modules export \`handlers\`: an array of { step, handler }, or a function that is given the worker and calls
worker.handle(step, handler). Those that do not are loaded and left alone.

Options
  --nats <url>          default: NATS_URL, or nats://127.0.0.1:4222
  --namespace <name>    default: STEPSTREAM_NAMESPACE, or "default"
  --name <name>         for people; default: a random one
  --gates               runs the commands of gates, in the working directory
  --drain <seconds>     how long running attempts may finish on shutdown; default 30
  --metrics-port <n>    metrics for Prometheus at http://…:<n>/metrics; default: STEPSTREAM_METRICS_PORT, or none
  --quiet               only trouble is logged
  -h, --help

Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says; without it there are none.
SIGTERM or SIGINT: takes no more commands, lets running attempts finish, hands the others back to other
workers; a second one ends it at once (nothing is lost: what it had in hand goes to another worker).`;

const { values, positionals } = readArgs();
if (values.help || (positionals.length === 0 && !values.gates)) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}
const drainMs = Number(values.drain) * 1_000;
if (!(drainMs >= 0)) {
  console.error(`--drain takes seconds, not "${values.drain}".`);
  process.exit(2);
}

const telemetry = await startTelemetry({
  serviceName: "stepstream-worker",
  metricsPort: portOf(values["metrics-port"]),
});
const worker = createWorker({
  nats: values.nats,
  namespace: values.namespace,
  ...(values.name ? { name: values.name } : {}),
  drainMs,
  onEvent: logEvent,
});
if (values.gates) worker.gates();
let handled = 0;
for (const module of positionals) handled += await load(module);
if (positionals.length > 0 && handled === 0) {
  console.error(
    `${positionals.join(", ")}: nothing exports \`handlers\`, an array of { step, handler }, or a function of the worker.`,
  );
  process.exit(2);
}
await worker.start().catch(giveUp);
say(`worker ${worker.name} is ready`);
process.send?.("ready"); // to whoever started it with a channel, as process managers do

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, async () => {
    if (stopping) process.exit(130);
    stopping = true;
    say(`${signal}: finishing what is under way`);
    await worker.stop();
    await telemetry.stop();
    process.exit(0);
  });
}

/** @returns How many `handlers` it had, 0 or 1. */
async function load(module: string): Promise<number> {
  type Handlers = readonly { step: AnyStep; handler: Handler<any> }[] | ((worker: Worker) => unknown);
  const loaded = import(pathToFileURL(resolve(module)).href).catch((error) => giveUp(whereFrom(error)));
  const { handlers } = (await loaded) as { handlers?: Handlers };
  if (typeof handlers === "function") await handlers(worker);
  else if (Array.isArray(handlers)) for (const { step, handler } of handlers) worker.handle(step, handler);
  else return 0;
  return 1;
}

/** An error of a module that cannot be loaded: the line of code it is about, and not the lines of the loader. */
function whereFrom(error: unknown): string {
  const { stack = String(error) } = error as Error;
  return stack
    .split("\n")
    .filter((line) => !/^ +at .*(node:internal\/|step-worker\/(src|dist)\/main\.)/.test(line))
    .join("\n");
}

function logEvent(event: WorkerEvent): void {
  switch (event.type) {
    case "retrying":
      return say(`${place(event)} failed, again in ${Math.round(event.delayMs)} ms: ${text(event.error)}`);
    case "failed":
      return console.error(`${place(event)} failed for good: ${text(event.error)}`);
    case "handed-back":
      return say(`${place(event)} is handed back: ${text(event.error)}`);
    case "left-behind":
      return console.error(`${place(event)} ignored its signal and was left behind`);
    case "dead":
      return console.error(`a message went to the dead letters: ${text(event.error)}`);
    case "breaker":
      return console.error(`circuit breaker "${event.breaker}" is ${event.state}`);
    case "trouble":
      return console.error(`${event.what}: ${text(event.error)}`);
  }
}

function place({ run, step, slot, attempt }: { run: string; step: string; slot: number; attempt: number }): string {
  return `step "${step}" of run ${run} (slot ${slot}, attempt ${attempt})`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function say(line: string): void {
  if (!values.quiet) console.log(line);
}

function portOf(said: string | undefined): number | undefined {
  if (!said) return undefined;
  const port = Number(said);
  return Number.isInteger(port) && port >= 0 && port < 65_536
    ? port
    : giveUp(`--metrics-port: "${said}" is no port.`, 2);
}

function readArgs() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        nats: { type: "string", default: process.env.NATS_URL ?? "nats://127.0.0.1:4222" },
        namespace: { type: "string", default: process.env.STEPSTREAM_NAMESPACE ?? "default" },
        name: { type: "string" },
        gates: { type: "boolean", default: false },
        drain: { type: "string", default: "30" },
        "metrics-port": { type: "string", default: process.env.STEPSTREAM_METRICS_PORT ?? "" },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return giveUp(`${(error as Error).message}\nSee --help.`, 2);
  }
}

/** What went wrong before anything was started, in words and not in a stack. */
function giveUp(error: unknown, code = 1): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(code);
}
