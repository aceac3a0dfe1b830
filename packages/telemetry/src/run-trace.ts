import { ROOT_CONTEXT, type SpanContext, TraceFlags, type Tracer, trace } from "@opentelemetry/api";
import type { Trace } from "@stepstream/contracts";
import { withIds } from "./id-generator.ts";
import { idsOfRun } from "./ids.ts";
import { fromTrace } from "./propagation.ts";

/** Where a run stands in its trace. */
export interface RunTrace {
  /** The run's own span, which what belongs to the run hangs below. */
  readonly own: SpanContext;
  /** What the run's span hangs below; undefined: it is the root. */
  readonly parent: SpanContext | undefined;
}

/**
 * Where a run stands in its trace, the same for whoever asks.
 *
 * T1. If its start carries the trace of a caller, the run joins that trace and hangs below the caller.
 * T2. Else trace and root span have the ids derived from the run's name. (A client that traces sends just
 *     these, with its verdict on sampling; one that does not sends nothing.)
 * T3. Sampled or not is decided once, by whoever is first: the start's trace says it for all others. If it says
 *     nothing, `isSampled` is asked, which must answer alike everywhere for one trace id.
 *
 * @param carried - The trace in `RunStarted`.
 */
export function traceOfRun(
  namespace: string,
  run: string,
  carried: Trace | undefined,
  isSampled: (traceId: string) => boolean,
): RunTrace {
  const ids = idsOfRun(namespace, run);
  const from = carried && fromTrace(carried);
  if (!from) {
    const traceFlags = isSampled(ids.traceId) ? TraceFlags.SAMPLED : TraceFlags.NONE;
    return { own: { ...ids, traceFlags, isRemote: true }, parent: undefined };
  }
  return { own: { ...from, spanId: ids.spanId }, parent: from.spanId === ids.spanId ? undefined : from };
}

/**
 * Does the SDK's sampler say no to whatever hangs below a span that is not sampled? Those named `parentbased_…` do; they
 * need not be asked about each span of a run that is not sampled, which spares most of what such a run costs.
 */
export function followsParents(tracer: Tracer): boolean {
  // The smallest trace id: a ratio takes it, whatever the ratio is.
  const parent = {
    traceId: `${"0".repeat(31)}1`,
    spanId: "0000000000000001",
    traceFlags: TraceFlags.NONE,
    isRemote: true,
  };
  return !tracer.startSpan("follows?", {}, trace.setSpanContext(ROOT_CONTEXT, parent)).isRecording();
}

/**
 * Asks the SDK's sampler about a trace. The API has no question for that, so a root span is started that never
 * ends and is never exported.
 */
export function samplerOf(tracer: Tracer): (traceId: string) => boolean {
  return (traceId) => {
    const ids = { traceId, spanId: "0000000000000001" };
    const probe = withIds(ids, () => tracer.startSpan("sampled?", { root: true }, ROOT_CONTEXT));
    return trace.isSpanContextValid(probe.spanContext()) && (probe.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
  };
}
