/** A run that goes on as new remembers so many ids. */
const KEPT = 200;

export type MessageKind = "signal" | "update" | "cancel";

/**
 * Ids of messages that were processed: a repeat of one changes nothing.
 *
 * I1. An id counts within its kind: senders choose ids, and an update with the id of a signal is not its repeat.
 *
 * Checked elsewhere:
 *   I1  life.test.ts: takes an id for a repeat only within its kind, also after it has continued as new
 */
export class Seen {
  readonly #keys: Set<string>;

  constructor(carried: readonly string[] = []) {
    this.#keys = new Set(carried);
  }

  /** @returns false if it was processed before. */
  add(kind: MessageKind, id: string): boolean {
    const key = keyOf(kind, id);
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    return true;
  }

  /** The latest, for a run that goes on as new. */
  get latest(): string[] {
    return [...this.#keys].slice(-KEPT);
  }
}

const PREFIX = /^(signal|update|cancel) /;

/** The id in what is carried on for it. */
export function idOf(key: string): string {
  return key.replace(PREFIX, "");
}

/** A signal's is its id alone, as in histories that are stored; with a prefix where it could be taken for another kind. */
function keyOf(kind: MessageKind, id: string): string {
  return kind === "signal" && !PREFIX.test(id) ? id : `${kind} ${id}`;
}
