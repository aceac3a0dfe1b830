import { randomFillSync } from "node:crypto";

/**
 * Makes span ids for the OpenTelemetry SDK: the ones that were prescribed for the next span, random ones else.
 *
 * For who sets the SDK up without `startTelemetry`:
 * @example new NodeSDK({ idGenerator })
 */
export const idGenerator = {
  generateTraceId: (): string => prescribed?.traceId ?? random(16),
  generateSpanId: (): string => prescribed?.spanId ?? random(8),
};

interface Ids {
  readonly traceId: string;
  readonly spanId: string;
}

let prescribed: Ids | undefined;

/**
 * Runs `startSpan`, whose span gets these ids, if the SDK in place uses this generator.
 *
 * @param startSpan - Starts one span, at once: it must not wait for anything.
 */
export function withIds<T>(ids: Ids, startSpan: () => T): T {
  prescribed = ids;
  try {
    return startSpan();
  } finally {
    prescribed = undefined;
  }
}

/**
 * Not `Math.random()`, which answers from the history inside workflow code: a span there would change what the
 * workflow draws next.
 */
function random(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = pool.toString("hex", used, used + bytes);
  used += bytes;
  return /[^0]/.test(id) ? id : random(bytes);
}

const pool = Buffer.alloc(2_048);
let used = pool.length;
