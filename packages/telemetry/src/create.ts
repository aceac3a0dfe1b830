import { ROOT_CONTEXT, type Tracer, trace } from "@opentelemetry/api";
import { withIds } from "./id-generator.ts";
import { type Gauges, measured, meterOfSdk } from "./metrics/metrics.ts";
import { noTelemetry, type Telemetry } from "./telemetry.ts";
import { createTracing } from "./tracing.ts";

export interface TelemetryOptions {
  /** As in the subjects: part of what the ids of a run's trace are derived from. */
  namespace: string;
}

/**
 * The telemetry of a client, coordinator or worker: with the OpenTelemetry SDK that this process has set up by
 * now, or nothing if there is none (or it is disabled): traces and metrics each. Looks once: set the SDK up first.
 */
export function createTelemetry({ namespace }: TelemetryOptions): Telemetry & Partial<Gauges> {
  const tracing = createTraces(namespace);
  const meter = meterOfSdk();
  return meter ? measured(tracing, meter) : tracing;
}

function createTraces(namespace: string): Telemetry {
  if (!isSdkThere()) return noTelemetry;
  const tracer = trace.getTracer("stepstream");
  return createTracing({ namespace, tracer, prescribes: prescribesIds(tracer) });
}

/** The API's provider is a proxy that hands out tracers of the SDK, once there is one. */
function isSdkThere(): boolean {
  const provider = trace.getTracerProvider() as { getDelegateTracer?: (name: string) => Tracer | undefined };
  return !provider.getDelegateTracer || provider.getDelegateTracer("stepstream") !== undefined;
}

/** Does the SDK use our id generator? Asked with a span that never ends, so it is never exported. */
function prescribesIds(tracer: Tracer): boolean {
  const ids = { traceId: "00000000000000000000000000000001", spanId: "0000000000000001" };
  const probe = withIds(ids, () => tracer.startSpan("probe", { root: true }, ROOT_CONTEXT));
  return probe.spanContext().spanId === ids.spanId;
}
