import type { BreakerPolicy } from "@stepstream/sdk";
import CircuitBreaker from "opossum";
import type { BreakerState } from "./events.ts";

/**
 * A circuit breaker round the handlers of one or more steps.
 *
 * B1. Opens after `failures` failed attempts in a row. (opossum judges by percentages of a time window, where
 *     one success hides many failures; so the count is ours, and opossum keeps the states.)
 * B2. Open, it lets nothing through; after the cooldown one attempt, whose outcome closes or reopens it.
 */
export class Breaker {
  readonly name: string;
  readonly #policy: BreakerPolicy;
  readonly #opossum: CircuitBreaker<[() => Promise<unknown>], unknown>;
  #failures = 0;
  #openedAt = 0;
  #probing = false;

  constructor(policy: BreakerPolicy, onChange: (state: BreakerState) => void) {
    this.name = policy.name;
    this.#policy = policy;
    this.#opossum = new CircuitBreaker((run: () => Promise<unknown>) => run(), {
      timeout: false,
      resetTimeout: policy.cooldownMs,
      errorThresholdPercentage: 100,
      volumeThreshold: Number.MAX_SAFE_INTEGER,
      rollingPercentilesEnabled: false,
      name: policy.name,
    });
    this.#opossum.on("open", () => {
      this.#openedAt = Date.now();
      onChange("open");
    });
    this.#opossum.on("halfOpen", () => {
      this.#probing = false;
      onChange("halfOpen");
    });
    this.#opossum.on("close", () => {
      this.#failures = 0;
      onChange("closed");
    });
  }

  get state(): BreakerState {
    if (this.#opossum.opened) return "open";
    return this.#opossum.halfOpen ? "halfOpen" : "closed";
  }

  /** How many attempts may be started now: none, one to probe, or as many as there is room for. */
  get room(): number {
    if (this.state === "open") return 0;
    if (this.state === "halfOpen") return this.#probing ? 0 : 1;
    return Number.POSITIVE_INFINITY;
  }

  /** What is left of the cooldown, in milliseconds. */
  get cooldownMs(): number {
    return Math.max(0, this.#openedAt + this.#policy.cooldownMs - Date.now());
  }

  /**
   * Runs an attempt.
   *
   * @param counts - Does this error speak against what the step calls? Others are an answer of it.
   * @returns undefined if the breaker did not let it through.
   */
  async fire<T>(attempt: () => Promise<T>, counts: (error: unknown) => boolean): Promise<{ value: T } | undefined> {
    if (this.room === 0) return undefined;
    const probe = this.state === "halfOpen";
    if (probe) this.#probing = true;
    let outcome: { ok: true; value: T } | { ok: false; error: unknown } | undefined;
    const run = async () => {
      try {
        outcome = { ok: true, value: await attempt() };
      } catch (error) {
        outcome = { ok: false, error };
        if (probe || counts(error)) throw error;
      }
    };
    await this.#opossum.fire(run).then(
      () => {
        this.#failures = 0;
      },
      () => {
        if (outcome && !probe && ++this.#failures >= this.#policy.failures) this.#opossum.open();
      },
    );
    if (!outcome) return undefined;
    if (!outcome.ok) throw outcome.error;
    return { value: outcome.value };
  }

  stop(): void {
    this.#opossum.shutdown();
  }
}
