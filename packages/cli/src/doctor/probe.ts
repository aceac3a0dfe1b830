import { JetStreamApiError } from "@nats-io/jetstream";
import { createInbox, PermissionViolationError } from "@nats-io/transport-node";
import type { StreamSpec } from "@stepstream/event-log/jetstream";
import type { Target } from "./target.ts";

/**
 * Stores a message in a stream of the namespace and removes it.
 *
 * B1. No process reads it: its subject is not one of a run (`Subjects.parse` refuses it) and matches no consumer's filter.
 * B2. It is removed by its sequence: a purge by subject would strand other messages (see the event log's remover.ts).
 * B3. What an earlier probe left behind, because the answer got lost, is removed by a later one.
 *
 * Checked elsewhere:
 *   B1  ../../../../test/cli/doctor/healthy.test.ts: finds nothing wrong with a healthy namespace, and leaves nothing behind
 *   B2  ../../../../test/cli/doctor/healthy.test.ts: finds nothing wrong with a healthy namespace, and leaves nothing behind
 *   B3  ../../../../test/cli/doctor/full.test.ts: removes what an earlier one left behind
 */
export interface Probed {
  readonly stream: string;
  readonly tookMs: number;
  readonly fault?: {
    /** Which of the two did not work. */
    readonly at: "store" | "remove";
    /** The server said no; it said nothing; the user may not. */
    readonly kind: "refused" | "silent" | "forbidden";
    /** The server's code for the error; 0: none. */
    readonly code: number;
    readonly why: string;
  };
}

const ANSWER_MS = 2_500;
/** Longer than a probe takes: another doctor may still need it. */
const LEFT_BEHIND_MS = 3 * ANSWER_MS;
/** Not a valid name of a run or a step. */
const TOKEN = "+doctor";
/** Which subjects of a stream with several kinds. */
const KINDS: Record<string, string> = {
  EVENTS: "attempts",
  COMMANDS: "command",
  TIMERS: "timer",
  DEAD: "dead",
  BLOBS: "blob",
};

/** All subjects that probes use. */
export function probeSubjects(namespace: string): string[] {
  return Object.values(KINDS).map((kind) => `${namespace}.${kind}.${TOKEN}.>`);
}

/** Whether a subject is one that a probe uses for a moment. */
export function isProbe(subject: string): boolean {
  return subject.includes(`.${TOKEN}.`);
}

export async function probeStream(target: Target, { name }: StreamSpec): Promise<Probed> {
  const { nc, jsm, namespace } = target;
  const prefix = `${namespace}.${KINDS[name.slice(namespace.length + 1)]}.${TOKEN}`;
  const startedAt = performance.now();
  const took = () => performance.now() - startedAt;
  const faulty = (at: "store" | "remove", cause: unknown) => ({
    stream: name,
    tookMs: took(),
    fault: { at, ...faultOf(cause) },
  });
  let seq: number;
  try {
    const subject = `${prefix}.${createInbox().split(".").at(-1)}`;
    const answer = await nc.request(subject, '{"v":1,"type":"Probe"}', { timeout: ANSWER_MS });
    const stored = answer.json<{ seq?: number; error?: { code: number; err_code?: number; description: string } }>();
    if (stored.error) return { stream: name, tookMs: took(), fault: { at: "store", ...refused(stored.error) } };
    seq = stored.seq!;
  } catch (cause) {
    return faulty("store", cause);
  }
  try {
    await jsm.streams.deleteMessage(name, seq, false);
  } catch (cause) {
    return faulty("remove", cause);
  }
  const tookMs = took();
  await removeLeftBehind(target, name, `${prefix}.>`).catch(() => {});
  return { stream: name, tookMs };
}

/** B3. */
async function removeLeftBehind({ jsm, now, offset }: Target, stream: string, filter: string): Promise<void> {
  const { state } = await jsm.streams.info(stream, { subjects_filter: filter });
  for (const subject of Object.keys(state.subjects ?? {})) {
    const left = await jsm.streams.getMessage(stream, { last_by_subj: subject });
    if (left && left.time.getTime() < now() + (offset?.ms ?? 0) - LEFT_BEHIND_MS)
      await jsm.streams.deleteMessage(stream, left.seq, false);
  }
}

function refused({ err_code = 0, description }: { err_code?: number; description: string }) {
  return { kind: "refused" as const, code: err_code, why: description };
}

function faultOf(cause: unknown): Omit<NonNullable<Probed["fault"]>, "at"> {
  if (cause instanceof JetStreamApiError) return { kind: "refused", code: cause.code, why: cause.message };
  const { message, cause: deeper } = cause as Error;
  if (cause instanceof PermissionViolationError || deeper instanceof PermissionViolationError)
    return { kind: "forbidden", code: 0, why: ((deeper ?? cause) as Error).message };
  return { kind: "silent", code: 0, why: message };
}
