import { decode, RunStep } from "@stepstream/contracts";
import type { Deps } from "./deps.ts";

/**
 * When the deadline of a command is, in epoch milliseconds, as the command says; undefined if it has none. One that cannot be
 * read has none: a worker of its step dead-letters it.
 */
export async function deadlineOf({ log, warn }: Deps, subject: string): Promise<number | undefined> {
  const stored = await log.last(subject);
  if (!stored) return undefined;
  try {
    const { timeout, scheduledAt, attempt } = decode(RunStep, stored.text, subject);
    const queueMs = attempt === 1 ? timeout.queueMs : undefined;
    const inMs = Math.min(queueMs ?? Number.POSITIVE_INFINITY, timeout.totalMs ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(inMs) ? scheduledAt + inMs : undefined;
  } catch (error) {
    warn("passed over a command while looking for deadlines", error);
    return undefined;
  }
}
