/** A span, as Jaeger's API (`/api/traces/<id>`) has it; only what the tests look at. */
export interface JaegerSpan {
  traceID: string;
  spanID: string;
  operationName: string;
  references: { refType: "CHILD_OF" | "FOLLOWS_FROM"; traceID: string; spanID: string }[];
  /** Microseconds since the epoch. */
  startTime: number;
  /** Microseconds. */
  duration: number;
  tags: { key: string; value: unknown }[];
  logs: { timestamp: number; fields: { key: string; value: unknown }[] }[];
  processID: string;
  /** What Jaeger has found wrong. */
  warnings: string[] | null;
}

export interface JaegerTrace {
  traceID: string;
  spans: JaegerSpan[];
  processes: Record<string, { serviceName: string }>;
}

/** @returns undefined if Jaeger has no such trace. */
export async function traceOf(uiUrl: string, traceId: string): Promise<JaegerTrace | undefined> {
  const response = await fetch(`${uiUrl}/api/traces/${traceId}`);
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`Jaeger answered ${response.status}: ${await response.text()}`);
  const { data } = (await response.json()) as { data: JaegerTrace[] };
  return data[0];
}

/** The trace, once it is as wanted; Jaeger tells nobody, so it is asked again and again. */
export async function untilTrace(uiUrl: string, traceId: string, wanted: (trace: JaegerTrace) => boolean) {
  for (;;) {
    const trace = await traceOf(uiUrl, traceId);
    if (trace && wanted(trace)) return trace;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function tag(span: JaegerSpan, key: string): unknown {
  return span.tags.find((t) => t.key === key)?.value;
}

/** Names of a span's events, in order. */
export function eventsOf(span: JaegerSpan): string[] {
  return span.logs
    .toSorted((a, b) => a.timestamp - b.timestamp)
    .flatMap(({ fields }) => fields.filter((f) => f.key === "event").map((f) => String(f.value)));
}

export function parentOf(span: JaegerSpan): string | undefined {
  return span.references.find((r) => r.refType === "CHILD_OF")?.spanID;
}
