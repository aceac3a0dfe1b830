import { type Context, defaultTextMapGetter, defaultTextMapSetter } from "@opentelemetry/api";
import { W3CBaggagePropagator } from "@opentelemetry/core";

/**
 * Baggage in messages: always the W3C form, whatever OTEL_PROPAGATORS says, as with traces.
 *
 * B1. What does not fit the limits of W3C (8,192 characters, 4,096 per entry) is left out, entry by entry.
 */
const w3c = new W3CBaggagePropagator();

/** @returns undefined if there is none. */
export function toBaggage(context: Context): string | undefined {
  const carrier: { baggage?: string } = {};
  w3c.inject(context, carrier, defaultTextMapSetter);
  return carrier.baggage;
}

export function withBaggage(context: Context, baggage: string | undefined): Context {
  return baggage ? w3c.extract(context, { baggage }, defaultTextMapGetter) : context;
}
