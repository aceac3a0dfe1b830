import type { MsgHdrs } from "@nats-io/transport-node";

/**
 * Headers of messages we send. nats.js checks, canonicalises and searches each of them; ours are a
 * handful of constants with values we made, so a string will do.
 *
 * @param block - The header block as it goes over the wire: `NATS/1.0`, lines, an empty line. nats.js
 *   asks a header object for nothing but `encode()` when it publishes.
 */
export function encoded(block: string): MsgHdrs {
  return { encode: () => Buffer.from(block) } as unknown as MsgHdrs;
}

/** A value for a header line: a line break in it would start a header of its own. */
export function clean(value: string): string {
  return /[\r\n]/.test(value) ? value.replace(/[\r\n]+/g, " ") : value;
}
