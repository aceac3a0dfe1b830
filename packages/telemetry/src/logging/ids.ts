import { context, isSpanContextValid, type SpanContext, trace } from "@opentelemetry/api";
import type { Trace } from "@stepstream/contracts";

/** What a log line bears of the trace it belongs to; named as OpenTelemetry's own log instrumentations do. */
export interface LogIds {
  trace_id: string;
  span_id?: string;
}

/** Those of the span that is active here; undefined if there is none. */
export function activeIds(): LogIds | undefined {
  const active = trace.getSpanContext(context.active());
  return active && idsOfSpan(active);
}

/** @returns undefined for ids of zeros, which are none. */
export function idsOfSpan(span: SpanContext): LogIds | undefined {
  return isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : undefined;
}

/** Those of a run, as its messages carry them: the trace, and no span. For who traces nothing, but is told of one. */
export function idsOfTrace(carried: Trace | undefined): LogIds | undefined {
  const traceId = carried?.traceparent.split("-")[1];
  return traceId && !/^0+$/.test(traceId) ? { trace_id: traceId } : undefined;
}
