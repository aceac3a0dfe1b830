import type { EventLog } from "./port.ts";

const LONGEST = 400;

/** Returns what nats-server has not permitted to this process in the last minute, for its presence. */
export function deniedIn(log: EventLog): { denied?: string[] } {
  const denials = log.denials();
  if (denials.length === 0) return {};
  return { denied: denials.map(({ operation, needed }) => `${operation} ${needed}`.slice(0, LONGEST)) };
}
