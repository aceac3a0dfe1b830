import { MAX_SCHEDULE_MS, type Subjects } from "@stepstream/contracts";
import type { Publisher } from "./publisher.ts";
import type { Reader } from "./reader.ts";
import type { Remover } from "./remover.ts";

/**
 * Durable timers, as message schedules of the server.
 *
 * T1. Never early: the server fires at its first tick (every 250 ms) after the time, by its own
 *     clock; the time is written in whole milliseconds, rounded up.
 * T2. Setting it again replaces it: a schedule's subject holds one message.
 * T3. The time of a fired timer is in the past for every server clock. A time already past fires at
 *     the next tick.
 * T4. The server counts nanoseconds in 64 bits, and fires what is later than the year 2262 at once. Such a time becomes
 *     2262; who set it sees that it is not due yet, and sets it again.
 *
 * Checked elsewhere:
 *   T1  test/conformance/jetstream.test.ts: are never early, and little late
 *   T2  test/conformance/jetstream.test.ts: of the past fire at once, those replaced at their new time
 *   T3  test/conformance/jetstream.test.ts: of the past fire at once, those replaced at their new time
 *   T4  test/conformance/suite.ts: of centuries to come do not fire now
 */
export interface Timers {
  set(run: string, slot: number, atMs: number): Promise<void>;
  /** When the one that is stored fires, in epoch milliseconds. */
  at(run: string, slot: number): Promise<number | undefined>;
  cancel(run: string, slot: number): Promise<void>;
}

const DUE = '{"v":1,"type":"TimerDue"}';

export function createTimers(publisher: Publisher, reader: Reader, remover: Remover, subjects: Subjects): Timers {
  return {
    async set(run, slot, atMs) {
      await publisher.publish(subjects.timer(run, slot), DUE, {
        lines: scheduleLines(atMs, subjects.due(run, slot)),
        ifLost: "resend", // T2
      });
    },
    async at(run, slot) {
      const schedule = await reader.headerOfLast(subjects.timer(run, slot), SCHEDULE);
      const at = schedule?.startsWith(AT) ? Date.parse(schedule.slice(AT.length)) : Number.NaN;
      return Number.isNaN(at) ? undefined : at;
    },
    async cancel(run, slot) {
      await remover.removeTimer(subjects.timer(run, slot));
    },
  };
}

const SCHEDULE = "Nats-Schedule";
const AT = "@at ";

export function scheduleLines(atMs: number, target: string): string {
  const at = new Date(Math.min(MAX_SCHEDULE_MS, Math.max(0, Math.ceil(atMs)))).toISOString();
  return `${SCHEDULE}: ${AT}${at}\r\nNats-Schedule-Target: ${target}\r\n`;
}
