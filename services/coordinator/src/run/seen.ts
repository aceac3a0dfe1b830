/** A run that goes on as new remembers so many ids. */
const KEPT = 200;

/** Ids of messages that were taken note of: a repeat of one changes nothing. */
export class Seen {
  readonly #ids: Set<string>;

  constructor(ids: readonly string[] = []) {
    this.#ids = new Set(ids);
  }

  /** @returns false if it was seen before. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    return true;
  }

  /** The latest, for a run that goes on as new. */
  get latest(): string[] {
    return [...this.#ids].slice(-KEPT);
  }
}
