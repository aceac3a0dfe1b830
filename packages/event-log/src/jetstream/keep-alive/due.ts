import { ACK_WAIT_MS, ALIVE_AT, type Block, KEPT_AT, UNTIL, WAS_LATE } from "./table.ts";

/**
 * Which deliveries the thread has to keep alive now. Pure but for the table.
 *
 * D1. While the main thread keeps a delivery alive itself, every third of its ack wait, the thread does nothing for it.
 * D2. While any delivery in hand is within its time, the main thread may be computing for that one, and all are kept alive:
 *     the others cannot help it. When none is, nothing is kept alive any more.
 * D3. A delivery that was silent for over half its ack wait is kept alive, but marked: another process may have it.
 *
 * Checked elsewhere:
 *   D1  due.test.ts: leaves alone what the main thread keeps alive
 *   D2  due.test.ts: as long as one of them is within its time
 *   D3  due.test.ts: marks what was silent for too long
 */
const DUE = 0.4;
const LATE = 0.5;
/** So long the main thread may compute for a delivery that has no end of its own. */
const ENDLESS_MAX_MS = 600_000;

/** @param onDue - Called with each that is due. @returns The shortest ack wait in hand; Infinity if nothing is. */
export function eachDue(blocks: readonly Block[], now: number, onDue: (block: Block, row: number) => void): number {
  let shortestMs = Number.POSITIVE_INFINITY;
  let isWithin = false;
  const due: [Block, number][] = [];
  for (const block of blocks)
    for (let row = 0; row < block.rows; row++) {
      if (!block.isTaken(row)) continue;
      shortestMs = Math.min(shortestMs, block.get(row, ACK_WAIT_MS));
      isWithin ||= now < endOf(block, row);
      if (silence(block, row, now) >= DUE) due.push([block, row]);
    }
  if (isWithin) for (const [block, row] of due) onDue(block, row);
  return shortestMs;
}

/** The thread has kept it alive. */
export function noteKept(block: Block, row: number, now: number): void {
  if (silence(block, row, now) > LATE) block.set(row, WAS_LATE, 1);
  block.set(row, KEPT_AT, now);
}

/** For how long it was not kept alive, in ack waits. */
function silence(block: Block, row: number, now: number): number {
  return (now - Math.max(block.get(row, ALIVE_AT), block.get(row, KEPT_AT))) / block.get(row, ACK_WAIT_MS);
}

function endOf(block: Block, row: number): number {
  const until = block.get(row, UNTIL);
  return until === Number.POSITIVE_INFINITY ? block.get(row, ALIVE_AT) + ENDLESS_MAX_MS : until;
}
