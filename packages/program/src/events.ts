import { Repeats } from "@stepstream/telemetry";
import type { Level, Log } from "./log.ts";

/** There is one for every run or step: they are wanted all, or none. */
const QUIET: ReadonlySet<Level> = new Set(["debug", "info"]);

/** How the events of a service are told: how loud, and in which words. What else they say are fields of the line. */
export type Told<E extends { type: string }> = {
  [T in E["type"]]: readonly [level: Exclude<Level, "silent">, tell: (event: Extract<E, { type: T }>) => string];
};

/**
 * Logs events: their `type` as `event`, their `error` as `err` with its stack, the ids of their `trace` as fields.
 *
 * Those that are not loud enough cost a look at a table: there are some for every step. The same warning or error (the
 * same words; of a message, the same subject) is logged once in 10 s, and the next one says how many were held back.
 */
export function logEvents<E extends { type: string }>(log: Log, told: Told<E>): (event: E) => void {
  const repeats = new Repeats();
  return (event) => {
    const [level, tell] = told[event.type as E["type"]];
    if (!log.isLevelEnabled(level)) return;
    const { type, error, trace, ...fields }: { type: string; error?: unknown; trace?: object; subject?: string } =
      event;
    const text = tell(event as Extract<E, { type: E["type"] }>);
    const quiet = QUIET.has(level);
    const held = quiet
      ? 0
      : repeats.admit(fields.subject === undefined ? text : `${type} ${fields.subject}`, Date.now());
    if (held === undefined) return;
    const line = {
      event: type,
      ...fields,
      ...trace,
      ...(error !== undefined && { err: error }),
      ...(held > 0 && { held }),
    };
    try {
      log[level](line, held > 0 ? `${text} (${held} more since the last)` : text);
    } catch {
      // An error whose getters throw: what happened is logged all the same.
      log[level]({ event: type }, `${text} (with an error that cannot be read)`);
    }
  };
}

/** What a service's log says of its connection to nats-server. */
export function toldConnection(
  change: { state: "down" | "refused" | "closed"; why: string } | { state: "up"; downMs: number },
): string {
  switch (change.state) {
    case "down":
      return `no connection to nats-server (${change.why}); trying again`;
    case "refused":
      return `login refused by nats-server (${change.why}); trying again`;
    case "up":
      return `connected to nats-server again, after ${(change.downMs / 1_000).toFixed(1)} s`;
    case "closed":
      return `the connection to nats-server has ended for good (${change.why})`;
  }
}

/** What a service's log says of what nats-server does not permit. */
export function toldDenial({ error, more }: { error: Error; more: number }): string {
  return more > 0 ? `${error.message} (${more} more since the last)` : error.message;
}

/** What a service's log says of its machine's clock. */
export function toldClock({ aheadMs }: { aheadMs: number }): string {
  if (aheadMs === 0) return "this machine's clock agrees with nats-server's again";
  const by = `${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs < 0 ? "behind" : "ahead of"} nats-server's`;
  return `this machine's clock is ${by}: time-outs and timers go by nats-server's, but times in logs and traces are wrong`;
}

/** An error in the words of a line; its stack is in the field `err`. */
export function words(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return "an error that cannot be read";
  }
}
