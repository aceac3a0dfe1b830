import type { Level, Log } from "./log.ts";

/** How the events of a service are told: how loud, and in which words. What else they say are fields of the line. */
export type Told<E extends { type: string }> = {
  [T in E["type"]]: readonly [level: Exclude<Level, "silent">, tell: (event: Extract<E, { type: T }>) => string];
};

/**
 * Logs events: their `type` as `event`, their `error` as `err` with its stack, the ids of their `trace` as fields.
 *
 * Those that are not loud enough cost a look at a table: there are some for every step.
 */
export function logEvents<E extends { type: string }>(log: Log, told: Told<E>): (event: E) => void {
  return (event) => {
    const [level, tell] = told[event.type as E["type"]];
    if (!log.isLevelEnabled(level)) return;
    const { type, error, trace, ...fields }: { type: string; error?: unknown; trace?: object } = event;
    const line = { event: type, ...fields, ...trace, ...(error !== undefined && { err: error }) };
    log[level](line, tell(event as Extract<E, { type: E["type"] }>));
  };
}

/** An error in the words of a line; its stack is in the field `err`. */
export function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
