import type { Msg } from "@nats-io/transport-node";

/**
 * Headers of messages we get. nats.js splits, checks and canonicalises all of them, which is 13 of the
 * 15 µs that a message of a direct get costs; we look for three or four names that we know.
 *
 * H1. The block lies right before the payload, in the same buffer, and is as long as `size()` leaves
 *     over. It has to begin as a header block does; if it does not, nats.js is asked to read it.
 *
 * Checked elsewhere:
 *   H1  incoming.test.ts: (H1)
 */
export function headerBlock(msg: Msg): string {
  const { data } = msg;
  // Public in the implementation, missing from the interface.
  const size = (msg as Msg & { size?(): number }).size?.() ?? 0;
  const length = size - data.length - msg.subject.length - (msg.reply?.length ?? 0);
  if (length >= START.length && length <= data.byteOffset) {
    const block = Buffer.from(data.buffer, data.byteOffset - length, length).toString("latin1");
    if (block.startsWith(START)) return block;
  }
  const { headers } = msg;
  if (!headers) return "";
  let block = headers.code ? `${START} ${headers.code} ${headers.description}\r\n` : `${START}\r\n`;
  for (const [name, values] of headers) for (const value of values) block += `${name}: ${value}\r\n`;
  return `${block}\r\n`;
}

const START = "NATS/1.0";

/** @returns the first value of a header, "" if it is not there. Names are compared letter by letter. */
export function header(block: string, name: string): string {
  const at = block.indexOf(`\r\n${name}:`);
  if (at < 0) return "";
  const from = at + name.length + 3;
  const to = block.indexOf("\r\n", from);
  return block.slice(from, to < 0 ? undefined : to).trim();
}

/**
 * What the server says of a stored message: it adds its headers behind those that the message has. A message may have a
 * `Nats-Sequence` of its own, put there by whoever published it, so the last one counts.
 *
 * @returns "" if it is not there.
 */
export function added(block: string, name: string): string {
  const at = block.lastIndexOf(`\r\n${name}:`);
  return at < 0 ? "" : header(block.slice(at), name);
}

/**
 * The status of an answer. A stored message may begin with a status line of its own, so what has a sequence has none.
 *
 * @returns code 0 for a message.
 */
export function statusOfAnswer(block: string): { code: number; why: string } {
  return added(block, "Nats-Sequence") === "" ? statusOf(block) : { code: 0, why: "" };
}

/** @returns the status of `NATS/1.0 408 Request Timeout`; code 0 for a message that is no status. */
export function statusOf(block: string): { code: number; why: string } {
  const to = block.indexOf("\r\n");
  const line = block.slice(START.length, to < 0 ? undefined : to).trim();
  const code = Number.parseInt(line, 10);
  return Number.isNaN(code) ? { code: 0, why: "" } : { code, why: line.slice(String(code).length).trim() };
}
