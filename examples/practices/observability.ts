/**
 * Observability: an event for each thing a worker does, the history of each run, and one distributed trace for each run,
 * from which the usual tools make metrics. Here the spans stay in memory; docs/telemetry.md sends them to a collector.
 */

import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { connect, fixed, step, workflow } from "@stepstream/sdk";
import { idGenerator } from "@stepstream/telemetry";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "an event for each step, metrics of execution, one distributed trace for each run";

const Parcel = z.object({ parcel: z.string() });
const weigh = step("weigh", { input: Parcel, output: z.object({ grams: z.int() }) });
const post = step("post", {
  input: Parcel,
  output: z.void(),
  retry: { maxAttempts: 3, backoff: fixed("20ms") },
});

const send = workflow("send-parcel", { input: Parcel, output: z.object({ grams: z.int() }) }, async (parcel, w) => {
  const weight = await w.run(weigh, parcel);
  await w.run(post, parcel);
  return weight;
});

export async function play({ bus, serve, events, say }: Stage) {
  const exporter = new InMemorySpanExporter();
  // Before client, coordinator and worker are made: they use what is there by then.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(
    new TracerProvider({ idGenerator, spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
  const client = await connect(bus);
  try {
    await serve([send], (worker) =>
      worker
        .handle(weigh, ({ parcel }, ctx) => {
          ctx.log.info("weighing", { parcel }); // with run, step, slot and attempt on the line
          return { grams: 100 * parcel.length };
        })
        .handle(post, (_, ctx) => {
          if (ctx.attempt === 1) throw new Error("the counter is closed");
        }),
    );
    const run = await client.start(send, { parcel: "p-1" });
    await run.result();

    const told = events.flatMap((event) =>
      "attempt" in event ? [`${event.step} ${event.attempt} ${event.type}`] : [],
    );
    say(`events   ${told.join(", ")}`);
    const spans = exporter.getFinishedSpans();
    const metrics = metricsOf(spans);
    for (const [name, { attempts, failed, maxMs }] of Object.entries(metrics))
      say(`metrics  ${name}: ${attempts} attempts, ${failed} failed, at most ${maxMs.toFixed(1)} ms`);
    for (const { name, attributes } of spans) {
      const again = attributes["stepstream.retry_in_ms"];
      const outcome = attributes["stepstream.outcome"];
      if (name.startsWith("attempt")) say(`span     ${name}: ${outcome}${again ? `, again in ${again} ms` : ""}`);
    }
    const { traceId } = await run.status();
    say(`trace    ${traceId}: ${spans.length} spans, from "${spans.find((span) => !span.parentSpanContext)?.name}" on`);
    return { told, metrics, run: run.id, namespace: bus.namespace, traceId, spans };
  } finally {
    await client.close();
    trace.disable();
    context.disable();
  }
}

/** Of each step: attempts, how many failed, and the longest, in milliseconds. */
export function metricsOf(spans: readonly ReadableSpan[]) {
  const metrics: Record<string, { attempts: number; failed: number; maxMs: number }> = {};
  for (const { name, duration, attributes } of spans) {
    const [kind, of] = name.split(" ");
    if (kind !== "attempt") continue;
    metrics[of!] ??= { attempts: 0, failed: 0, maxMs: 0 };
    const entry = metrics[of!]!;
    entry.attempts++;
    if (attributes["error.type"] !== undefined) entry.failed++;
    entry.maxMs = Math.max(entry.maxMs, duration[0] * 1_000 + duration[1] / 1e6);
  }
  return metrics;
}
