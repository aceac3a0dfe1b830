import type { Clock } from "../clock.ts";

/** The longest time that Node.js' timers can wait: 24.8 days. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Calls `fn` at a time of the clock: however far away, and never early. (Node.js' timers may fire a millisecond
 * before the time, and at once if it is too far away.) It does not keep a process alive.
 *
 * @returns a function that calls it off.
 */
export function callAt(clock: Clock, atMs: number, fn: () => void): () => void {
  let handle: unknown;
  const wait = () => {
    const left = Math.max(0, atMs - clock.now());
    handle = clock.setTimeout(() => (clock.now() < atMs ? wait() : fn()), Math.min(LONGEST_MS, left));
    (handle as { unref?: () => void } | undefined)?.unref?.();
  };
  wait();
  return () => clock.clearTimeout(handle);
}
