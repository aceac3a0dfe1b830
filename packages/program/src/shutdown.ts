/** How a program spends the time between a signal and its end. All in milliseconds. */
export interface ShutdownPlan {
  /** How long what is under way may finish. */
  readonly drainMs: number;
  /** How long what has not finished then may clean up, before it is left behind. */
  readonly cleanUpMs: number;
  /** From the signal: the program is over, whatever is still under way. */
  readonly endMs: number;
}

/** What Kubernetes gives by default (`terminationGracePeriodSeconds`). */
const PATIENCE_MS = 30_000;

/**
 * Divides the time that the platform gives between SIGTERM and SIGKILL: so that the program is over by itself before it is
 * killed, with a second in hand. Pure.
 *
 * Of 30 s: 20 to finish, 5 to clean up, 4 to report to the log and to telemetry. Of 10 s (`docker stop`): 5, 2 and 2.
 *
 * @param patienceMs - What the platform gives. Default: 30 s; or, with `drainMs`, as long as all of it takes.
 * @param drainMs - How long what is under way may finish, where that was asked for. No longer than the rest leaves.
 */
export function shutdownPlan(patienceMs: number | undefined, drainMs: number | undefined): ShutdownPlan {
  const givenMs = patienceMs ?? PATIENCE_MS;
  const marginMs = Math.min(1_000, givenMs / 10);
  const lastWordsMs = Math.min(4_000, givenMs / 5);
  const cleanUpMs = Math.min(5_000, givenMs / 5);
  const leftMs = givenMs - marginMs - lastWordsMs - cleanUpMs;
  const finishMs = drainMs === undefined ? leftMs : patienceMs === undefined ? drainMs : Math.min(drainMs, leftMs);
  return {
    drainMs: Math.floor(finishMs),
    cleanUpMs: Math.floor(cleanUpMs),
    endMs: Math.floor(finishMs + cleanUpMs + lastWordsMs),
  };
}
