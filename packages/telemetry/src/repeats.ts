/**
 * Holds repeated warnings back, so that input from outside cannot fill a disk with log lines.
 *
 * R1. A key is let through once in `WINDOW_MS`; the next one after that says how many were held back.
 * R2. No more than `KEYS_MAX` keys are let through in a window. Those beyond share one key.
 */
const WINDOW_MS = 10_000;
const KEYS_MAX = 50;

export class Repeats {
  /** By key: until when it is held back, and how many were. The oldest first. */
  readonly #keys = new Map<string, { until: number; held: number }>();

  /**
   * @param now - In milliseconds.
   * @returns How many of the key were held back since the last that was let through; undefined: hold this one back, too.
   */
  admit(key: string, now: number): number | undefined {
    const known = this.#keys.get(key);
    if (!known && key !== OTHERS && this.#current(now) >= KEYS_MAX) return this.admit(OTHERS, now);
    if (known && now < known.until) {
      known.held++;
      return undefined;
    }
    this.#keys.delete(key);
    this.#keys.set(key, { until: now + WINDOW_MS, held: 0 });
    return known?.held ?? 0;
  }

  /** How many keys there are in the window; forgets those that nothing was held back of. */
  #current(now: number): number {
    if (this.#keys.size < KEYS_MAX) return this.#keys.size;
    for (const [key, { until }] of this.#keys) if (until <= now) this.#keys.delete(key);
    return this.#keys.size;
  }
}

const OTHERS = "others";

/** A warning's key: what failed, and how. Of an error only its code or class: its message may name a run or a subject. */
export function kindOf(what: string, error: unknown): string {
  try {
    const { code, name } = error as { code?: unknown; name?: unknown };
    return `${what} ${String(code ?? name)}`;
  } catch {
    return what; // It cannot be read.
  }
}
