#!/usr/bin/env node
import { parseArgs } from "node:util";
import {
  asLogger,
  connectionOfProgram,
  giveUp,
  help,
  logEvents,
  OPTIONS_HELP,
  optionsOf,
  orGiveUp,
  startProgram,
  WORKER_HELP,
} from "@stepstream/program";
import { createWorker } from "./index.ts";
import { loadHandlers, told } from "./program.ts";

const HELP = `Usage: stepstream-worker [options] <module> [<module> …]

Runs steps. Modules export \`handlers\`: an array of { step, handler }, or a function that is given the worker and calls
worker.handle(step, handler). Those that do not are loaded and left alone.

Options:
${WORKER_HELP}
${OPTIONS_HELP}

Examples:
  $ stepstream-worker ./dist/handlers.js
  $ stepstream-worker ./handlers.ts --nats tls://nats.example.com --tls-ca ./ca.pem --user worker -n shop
  $ NATS_CONTEXT=prod STEPSTREAM_NAMESPACE=shop stepstream-worker ./dist/handlers.js --shutdown-timeout 90s
  $ stepstream-worker ./dist/handlers.js --health-port 8080 --shutdown-timeout 10s

In a checkout it is node services/step-worker/src/main.ts. Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says;
without it there are none.
SIGTERM or SIGINT: takes no more commands, lets running attempts finish, then aborts them (ctx.signal), and hands them
back to other workers; all of it within --shutdown-timeout. A second one ends it at once (nothing is lost: what it had
in hand goes to another worker).
Exit codes: 0 ended by SIGTERM, 1 it cannot run, or did not finish in time, 2 wrong usage, 130 ended by SIGINT, 143 by a
second SIGTERM.`;

const { values, positionals } = orGiveUp(() =>
  parseArgs({
    allowPositionals: true,
    options: {
      ...optionsOf(process.env),
      name: { type: "string" },
      gates: { type: "boolean", default: false },
      drain: { type: "string" },
    },
  }),
);
if (values.help || (positionals.length === 0 && !values.gates)) help(HELP, values.help);
const drainMs = values.drain === undefined ? undefined : Number(values.drain || Number.NaN) * 1_000;
if (drainMs !== undefined && !(drainMs >= 0)) giveUp(`--drain takes seconds, not "${values.drain}".`, 2);

const { log, waitMs, shutdown, ready, fail } = await startProgram("stepstream-worker", values, process.env, drainMs);
const { options: nats, where } = await connectionOfProgram(values, process.env);
const tell = logEvents(log, told);
const worker = orGiveUp(() =>
  createWorker({
    nats,
    waitMs,
    namespace: values.namespace,
    ...(values.name ? { name: values.name } : {}),
    drainMs: shutdown.drainMs,
    cleanUpMs: shutdown.cleanUpMs,
    logger: asLogger(log),
    onEvent(event) {
      tell(event);
      // Alive, it would do nothing: its supervisor starts another.
      if (event.type === "connection" && event.state === "closed")
        fail(new Error("the connection to nats-server has ended for good"));
    },
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
ready(worker);
log.info({ event: "ready", worker: worker.name, nats: where }, `worker ${worker.name} is ready`);
