#!/usr/bin/env node
import { parseArgs } from "node:util";
import { startTelemetry } from "@stepstream/telemetry";
import { type CoordinatorEvent, createCoordinator } from "./index.ts";
import { giveUp, loadWorkflows } from "./program.ts";

const HELP = `Runs the coordinator: takes workflow runs further.

  node services/coordinator/src/main.ts [options] <module> [<module> …]

Each module exports workflows (workflow(…) or pipeline(…).build()), under any name.

Options
  --nats <url>          default: NATS_URL, or nats://127.0.0.1:4222
  --namespace <name>    default: STEPSTREAM_NAMESPACE, or "default"
  --metrics-port <n>    metrics for Prometheus at http://…:<n>/metrics; default: STEPSTREAM_METRICS_PORT, or none
  --quiet               only trouble is logged
  -h, --help

Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says; without it there are none.
SIGTERM or SIGINT: finishes what is under way and hands its partitions over; a second one ends it at once.`;

const { values, positionals } = readArgs();
if (values.help || positionals.length === 0) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}

const workflows = await loadWorkflows(positionals);
const telemetry = await startTelemetry({
  serviceName: "stepstream-coordinator",
  metricsPort: portOf(values["metrics-port"]),
});
const coordinator = await createCoordinator({
  nats: values.nats,
  namespace: values.namespace,
  workflows,
  onEvent: logEvent,
})
  .start()
  .catch(giveUp);
say(`coordinator ${coordinator.id} runs ${workflows.map((w) => `${w.name} v${w.version}`).join(", ")}`);
process.send?.("ready"); // to whoever started it with a channel, as process managers do

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, async () => {
    if (stopping) process.exit(130);
    stopping = true;
    say(`${signal}: finishing what is under way`);
    await coordinator.stop();
    await telemetry.stop();
    process.exit(0);
  });
}

function logEvent(event: CoordinatorEvent): void {
  switch (event.type) {
    case "peers":
      return say(`coordinators: ${event.peers.join(", ")}`);
    case "parked":
      return console.error(`run ${event.run} is parked: ${event.error.message}`);
    case "unparked":
      return say(`run ${event.run} goes on`);
    case "dead":
      return console.error(`a message went to the dead letters: ${event.error.message}`);
    case "trouble":
      return console.error(`${event.what}: ${event.error instanceof Error ? event.error.message : event.error}`);
  }
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
        "metrics-port": { type: "string", default: process.env.STEPSTREAM_METRICS_PORT ?? "" },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return giveUp(`${(error as Error).message}\nSee --help.`, 2);
  }
}
