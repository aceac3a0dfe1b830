/**
 * What the main thread and the keep-alive thread share: a table of the deliveries in hand, in memory that both can reach. So
 * the main thread tells of a delivery by writing some bytes, and needs no event loop for it.
 *
 *   word 0           0: free; else the length of the subject in bytes
 *   word 1           grows with each use of the row
 *   then 5 numbers   see the names below
 *   then the bytes of the subject
 */
const NUMBERS_AT = 8;
const SUBJECT_AT = 48;
const ROW_BYTES = 512;
const SUBJECT_MAX = ROW_BYTES - SUBJECT_AT;

/** When the main thread kept it alive the last time. All times are the main thread's clock, in milliseconds. */
export const ALIVE_AT = 0;
/** When the thread did; 0 if never. */
export const KEPT_AT = 1;
/** 1 if the thread was too late once. */
export const WAS_LATE = 2;
export const ACK_WAIT_MS = 3;
/** Until then it may be what the main thread computes. Infinity: it has no end of its own. 0: it is not being worked on. */
export const UNTIL = 4;

export type Column = typeof ALIVE_AT | typeof KEPT_AT | typeof WAS_LATE | typeof ACK_WAIT_MS | typeof UNTIL;

/** A part of the table. */
export class Block {
  readonly rows: number;
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.rows = memory.byteLength / ROW_BYTES;
    this.#words = new Int32Array(memory);
    this.#numbers = new Float64Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  static make(rows: number): Block {
    return new Block(new SharedArrayBuffer(rows * ROW_BYTES));
  }

  /** @returns false if the subject is too long: then the row is still free. */
  take(row: number, subject: string): boolean {
    const at = row * ROW_BYTES;
    const length = this.#bytes.write(subject, at + SUBJECT_AT, SUBJECT_MAX, "utf8");
    // Nearly full: it may not be the whole subject.
    if (length > SUBJECT_MAX - 4) return false;
    Atomics.add(this.#words, at / 4 + 1, 1);
    Atomics.store(this.#words, at / 4, length);
    return true;
  }

  free(row: number): void {
    Atomics.store(this.#words, (row * ROW_BYTES) / 4, 0);
  }

  isTaken(row: number): boolean {
    return Atomics.load(this.#words, (row * ROW_BYTES) / 4) !== 0;
  }

  /** Tells one use of the row from the next. */
  use(row: number): number {
    return Atomics.load(this.#words, (row * ROW_BYTES) / 4 + 1);
  }

  subject(row: number): string {
    const at = row * ROW_BYTES;
    return this.#bytes.toString("utf8", at + SUBJECT_AT, at + SUBJECT_AT + Atomics.load(this.#words, at / 4));
  }

  get(row: number, column: Column): number {
    return this.#numbers[(row * ROW_BYTES + NUMBERS_AT) / 8 + column]!;
  }

  set(row: number, column: Column, value: number): void {
    this.#numbers[(row * ROW_BYTES + NUMBERS_AT) / 8 + column] = value;
  }
}

/** Milliseconds of a clock that all threads of a process share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
