/**
 * A coordinator in a process of its own, as services/coordinator/src/main.ts is one, that stops code which blocks the
 * event loop after the milliseconds of STALL_MS. Its arguments are modules with workflows; its log is lines of JSON.
 */
import { type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import type { AnyWorkflow } from "@stepstream/sdk";

const { NATS_URL, STEPSTREAM_NAMESPACE, STALL_MS } = process.env;

function say(event: object): void {
  console.log(JSON.stringify(event));
}

const modules = await Promise.all(process.argv.slice(2).map((module) => import(module)));
const workflows = modules
  .flatMap((module) => Object.values<{ kind?: string }>(module))
  .filter(({ kind }) => kind === "workflow") as AnyWorkflow[];
const coordinator = await createCoordinator({
  nats: NATS_URL!,
  namespace: STEPSTREAM_NAMESPACE!,
  workflows,
  watchdog: { stallMs: Number(STALL_MS) },
  onEvent: ({ type, ...more }: CoordinatorEvent) => say({ event: type, ...more }),
}).start();
say({ event: "ready", coordinator: coordinator.id });
