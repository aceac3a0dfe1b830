import type { Clock } from "./clock.ts";
import type { EventLog, Subscription } from "./port.ts";

const EVERY_MS = 10_000;
/** From here on a machine's clock is wrong. */
const WRONG_MS = 1_000;

/**
 * Compares the machine's clock with the server's, now and every 10 s. Nothing that a run depends on goes by the machine's
 * clock, but log lines, spans and what handlers read do.
 *
 * @param onSkew - Called with how far the machine's clock is ahead, in milliseconds: when it is wrong by a second or more and
 *   was not by as much before, and with 0 once it is right again.
 */
export function watchClock(
  log: Pick<EventLog, "serverNow">,
  clock: Clock,
  onSkew: (aheadMs: number) => void,
): Subscription {
  let told = 0;
  let timer: unknown;
  const look = () => {
    timer = clock.setTimeout(look, EVERY_MS);
    const aheadMs = wallOf(clock) - log.serverNow();
    const isWrong = Math.abs(aheadMs) >= WRONG_MS;
    if (isWrong ? Math.abs(aheadMs - told) < WRONG_MS : told === 0) return;
    told = isWrong ? aheadMs : 0;
    onSkew(told);
  };
  // In virtual time there is one clock.
  if (clock.wall) look();
  return { stop: () => clock.clearTimeout(timer) };
}

/** The machine's clock, in epoch milliseconds: for people, and to be compared with the server's. */
export function wallOf(clock: Clock): number {
  return clock.wall?.() ?? clock.now();
}
