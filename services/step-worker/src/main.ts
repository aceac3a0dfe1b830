#!/usr/bin/env node
import { parseArgs } from "node:util";
import { asLogger, giveUp, help, logEvents, OPTIONS, OPTIONS_HELP, orGiveUp, startProgram } from "@stepstream/program";
import { createWorker } from "./index.ts";
import { loadHandlers, told } from "./program.ts";

const HELP = `Runs steps.

  node services/step-worker/src/main.ts [options] <module> [<module> …]

Modules export \`handlers\`: an array of { step, handler }, or a function that is given the worker and calls
worker.handle(step, handler). Those that do not are loaded and left alone.

Options
  --name <name>         for people; default: a random one
  --gates               runs the commands of gates, in the working directory
  --drain <seconds>     how long running attempts may finish on shutdown; default 30
${OPTIONS_HELP}

Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says; without it there are none.
SIGTERM or SIGINT: takes no more commands, lets running attempts finish, hands the others back to other
workers; a second one ends it at once (nothing is lost: what it had in hand goes to another worker).`;

const { values, positionals } = orGiveUp(() =>
  parseArgs({
    allowPositionals: true,
    options: {
      ...OPTIONS,
      name: { type: "string" },
      gates: { type: "boolean", default: false },
      drain: { type: "string", default: "30" },
    },
  }),
);
if (values.help || (positionals.length === 0 && !values.gates)) help(HELP, values.help);
const drainMs = Number(values.drain) * 1_000;
if (!(drainMs >= 0)) giveUp(`--drain takes seconds, not "${values.drain}".`, 2);

const { log, ready, fail } = await startProgram("stepstream-worker", values);
const worker = orGiveUp(() =>
  createWorker({
    nats: values.nats,
    namespace: values.namespace,
    ...(values.name ? { name: values.name } : {}),
    drainMs,
    logger: asLogger(log),
    onEvent: logEvents(log, told),
  }),
);
if (values.gates) worker.gates();
let handled = 0;
for (const module of positionals) handled += await loadHandlers(module, worker);
if (positionals.length > 0 && handled === 0)
  giveUp(
    `${positionals.join(", ")}: nothing exports \`handlers\`, an array of { step, handler }, or a function of the worker.`,
    2,
  );
await worker.start().catch(fail);
// First: a program that reads the line may send a signal at once.
ready(() => worker.stop());
log.info({ event: "ready", worker: worker.name }, `worker ${worker.name} is ready`);
