#!/usr/bin/env node
import { parseArgs } from "node:util";
import {
  COORDINATOR_HELP,
  connectionOfProgram,
  help,
  logEvents,
  OPTIONS_HELP,
  optionsOf,
  orGiveUp,
  startProgram,
} from "@stepstream/program";
import { archiveIn, createCoordinator } from "./index.ts";
import { loadWorkflows, told } from "./program.ts";

const HELP = `Usage: stepstream-coordinator [options] <module> [<module> …]

Runs workflows: takes their runs further. Each module exports workflows (workflow(…) or pipeline(…).build()), under any
name.

Options:
${COORDINATOR_HELP}
${OPTIONS_HELP}

Examples:
  $ stepstream-coordinator ./dist/workflows.js
  $ stepstream-coordinator ./workflows.ts --nats nats://n1:4222,nats://n2:4222 --creds ./coordinator.creds -n shop
  $ NATS_CONTEXT=prod STEPSTREAM_NAMESPACE=shop stepstream-coordinator ./dist/workflows.js --metrics-port 9464
  $ stepstream-coordinator ./dist/workflows.js --health-port 8080 --shutdown-timeout 10s

In a checkout it is node services/coordinator/src/main.ts. Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says;
without it there are none.
SIGTERM or SIGINT: finishes what is under way and hands its partitions over, within --shutdown-timeout; a second one
ends it at once. Nothing is lost if it is killed instead.
Exit codes: 0 ended by SIGTERM, 1 it cannot run, or did not finish in time, 2 wrong usage, 130 ended by SIGINT, 143 by a
second SIGTERM.`;

const { values, positionals } = orGiveUp(() =>
  parseArgs({
    allowPositionals: true,
    options: { ...optionsOf(process.env), archive: { type: "string", default: process.env.STEPSTREAM_ARCHIVE ?? "" } },
  }),
);
if (values.help || positionals.length === 0) help(HELP, values.help);

const { log, waitMs, ready, fail } = await startProgram("stepstream-coordinator", values, process.env);
const workflows = await loadWorkflows(positionals);
const { namespace } = values;
const { options: nats, where } = await connectionOfProgram(values, process.env);
const onEvent = logEvents(log, told);
const archive = values.archive ? { archive: archiveIn(values.archive) } : {};
const created = orGiveUp(() => createCoordinator({ nats, namespace, waitMs, workflows, onEvent, ...archive }));
const coordinator = await created.start().catch(fail);
const known = workflows.map(({ name, version }) => `${name} v${version}`).join(", ");
// First: a program that reads the line may send a signal at once.
ready(coordinator);
log.info({ event: "ready", coordinator: coordinator.id, nats: where }, `coordinator ${coordinator.id} runs ${known}`);
