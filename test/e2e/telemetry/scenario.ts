import type { Jaeger } from "@stepstream/infra";
import { connect } from "@stepstream/sdk";
import { eventsOf, type JaegerTrace, traceOf, untilTrace } from "./jaeger-api.ts";
import { journey } from "./journey.ts";
import type { Processes } from "./processes.ts";

export interface Journeyed {
  trace: JaegerTrace;
  /** When the log stored the first and the last message for the run, in epoch milliseconds. */
  startedAt: number;
  endedAt: number;
}

/**
 * Plays a journey that fails: a client starts it, a coordinator and a worker do it, Jaeger gets all spans.
 *
 * @param options.kill - The coordinator is killed in the middle of the run, and another comes.
 */
export async function playJourney(
  { nats, namespace, run: id }: { nats: string; namespace: string; run: string },
  jaeger: Jaeger,
  processes: Processes,
  { kill }: { kill: boolean },
): Promise<Journeyed> {
  const coordinator = await processes.coordinator("journey");
  await processes.worker("journey-handlers");
  await processes.client("journey-client", [id]);
  await using client = await connect({ nats, namespace });
  const run = client.handle(journey, id);
  const { traceId } = await run.status();
  // Both children have ended, and it waits for its signal; what it has decided so far is told.
  await untilTrace(jaeger.uiUrl, traceId!, ({ spans }) => spans.flatMap(eventsOf).filter(isEndOfChild).length === 2);
  if (kill) {
    await processes.end(coordinator, "SIGKILL");
    await processes.coordinator("journey");
  }
  await run.signal("approve", { by: "kim" });
  await run.result().catch(() => {});
  const inbox = (await run.history()).filter((entry) => entry.kind === "inbox");
  await processes.endAll();
  const trace = await traceOf(jaeger.uiUrl, traceId!);
  return { trace: trace!, startedAt: inbox[0]!.at, endedAt: inbox.at(-1)!.at };
}

const isEndOfChild = (event: string) => event === "ChildEnded";
