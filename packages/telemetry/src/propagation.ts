import { createTraceState, type SpanContext, TraceFlags } from "@opentelemetry/api";
import type { Trace } from "@stepstream/contracts";

/**
 * Trace contexts in messages: always the W3C form, whatever OTEL_PROPAGATORS says, because the messages' schemas
 * name it and workers in other languages read it.
 */
export function toTrace({ traceId, spanId, traceFlags, traceState }: SpanContext): Trace {
  const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
  const traceparent = `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
  const tracestate = traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** @returns undefined for ids of zeros, which are none. */
export function fromTrace({ traceparent, tracestate }: Trace): SpanContext | undefined {
  const [, traceId, spanId, flags] = traceparent.split("-");
  if (!traceId || !spanId || !flags || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(tracestate ? { traceState: createTraceState(tracestate) } : {}),
  };
}
