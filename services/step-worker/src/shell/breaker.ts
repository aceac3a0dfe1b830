import { EventEmitter } from "node:events";
import type { Clock } from "@stepstream/event-log";
import type { BreakerPolicy } from "@stepstream/sdk";
import CircuitBreaker from "opossum";

/**
 * A circuit breaker round the handlers of a step, or of several steps that name the same one.
 *
 * B1. It opens after exactly `failures` failed attempts in a row. opossum keeps the states and the cool-down;
 *     the counting is ours, for opossum opens by percentage of a time window.
 * B2. Open: no attempt starts. Half open: one does, the probe; its success closes, its failure opens again.
 * B3. An answer that says nothing about the health of what the handler calls (a cancellation, an input that
 *     does not fit) counts neither way: after such a probe comes another.
 *
 * Checked elsewhere:
 *   B1  breaker.test.ts: (B1)
 *   B2  breaker.test.ts: (B2)
 *   B3  breaker.test.ts: (B3)
 */
export type BreakerState = "closed" | "open" | "halfOpen";
export type Admission = "normal" | "probe";

export class Breaker {
  readonly policy: BreakerPolicy;
  readonly #clock: Clock;
  readonly #circuit: CircuitBreaker;
  readonly #onChange: (state: BreakerState) => void;
  #failures = 0;
  #probing = false;
  #openedAt = 0;

  constructor(policy: BreakerPolicy, clock: Clock, onChange: (state: BreakerState) => void) {
    this.policy = policy;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#circuit = new CircuitBreaker(async () => {}, {
      name: policy.name,
      timeout: false,
      resetTimeout: policy.cooldownMs,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      rotateBucketController: new EventEmitter(),
    });
    this.#circuit.on("open", () => {
      this.#openedAt = this.#clock.now();
      onChange("open");
    });
    this.#circuit.on("halfOpen", () => onChange("halfOpen"));
    this.#circuit.on("close", () => onChange("closed"));
  }

  get state(): BreakerState {
    if (this.#circuit.opened) return "open";
    return this.#circuit.halfOpen ? "halfOpen" : "closed";
  }

  /** How many of `free` slots may be filled now. */
  admits(free: number): number {
    const { state } = this;
    if (state === "closed") return free;
    return state === "open" || this.#probing ? 0 : Math.min(1, free);
  }

  /** Leave to start an attempt; undefined if there is none. `report` must follow. */
  enter(): Admission | undefined {
    if (this.admits(1) < 1) return undefined;
    this.#probing = this.state === "halfOpen";
    return this.#probing ? "probe" : "normal";
  }

  /** How an attempt ended that was let in. */
  report(admission: Admission, health: "good" | "bad" | "unknown"): void {
    if (admission === "probe") {
      this.#probing = false;
      this.#failures = 0;
      if (health === "good") this.#circuit.close();
      else if (health === "bad") this.#circuit.open();
      else this.#onChange("halfOpen");
    } else if (this.state !== "closed") {
      // Late news from before it opened; only the probe counts now.
    } else if (health === "good") this.#failures = 0;
    else if (health === "bad" && ++this.#failures >= this.policy.failures) {
      this.#failures = 0;
      this.#circuit.open();
    }
  }

  /** Milliseconds until the next probe; 0 if it is not open. */
  leftMs(): number {
    if (this.state !== "open") return 0;
    return Math.max(0, this.#openedAt + this.policy.cooldownMs - this.#clock.now());
  }

  stop(): void {
    this.#circuit.shutdown();
  }
}
