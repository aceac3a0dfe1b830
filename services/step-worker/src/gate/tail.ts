import { StringDecoder } from "node:string_decoder";

const KEPT_BYTES = 64 * 1024;

/** The last 64 KiB of a stream. */
export class Tail {
  #chunks: Buffer[] = [];
  #bytes = 0;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes - this.#chunks[0]!.length >= KEPT_BYTES) this.#bytes -= this.#chunks.shift()!.length;
  }

  text(): string {
    const all = Buffer.concat(this.#chunks);
    let from = Math.max(0, all.length - KEPT_BYTES);
    // Not into the middle of a character.
    while (from > 0 && from < all.length && (all[from]! & 0xc0) === 0x80) from++;
    return new StringDecoder("utf8").end(all.subarray(from));
  }
}
