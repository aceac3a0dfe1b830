#!/usr/bin/env node
import { parseArgs } from "node:util";
import { help, logEvents, OPTIONS, OPTIONS_HELP, orGiveUp, startProgram } from "@stepstream/program";
import { createCoordinator } from "./index.ts";
import { loadWorkflows, told } from "./program.ts";

const HELP = `Runs the coordinator: takes workflow runs further.

  node services/coordinator/src/main.ts [options] <module> [<module> …]

Each module exports workflows (workflow(…) or pipeline(…).build()), under any name.

Options
${OPTIONS_HELP}

Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says; without it there are none.
SIGTERM or SIGINT: finishes what is under way and hands its partitions over; a second one ends it at once.`;

const { values, positionals } = orGiveUp(() => parseArgs({ allowPositionals: true, options: OPTIONS }));
if (values.help || positionals.length === 0) help(HELP, values.help);

const { log, ready, fail } = await startProgram("stepstream-coordinator", values);
const workflows = await loadWorkflows(positionals);
const { nats, namespace } = values;
const created = orGiveUp(() => createCoordinator({ nats, namespace, workflows, onEvent: logEvents(log, told) }));
const coordinator = await created.start().catch(fail);
const known = workflows.map(({ name, version }) => `${name} v${version}`).join(", ");
// First: a program that reads the line may send a signal at once.
ready(() => coordinator.stop());
log.info({ event: "ready", coordinator: coordinator.id }, `coordinator ${coordinator.id} runs ${known}`);
