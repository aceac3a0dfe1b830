import { LogRefusedError } from "@stepstream/contracts";
import { type Consumption, Retry, type Subscription, watchClock } from "@stepstream/event-log";
import type { Deps } from "./deps.ts";
import { takeDueTimers } from "./due.ts";
import { Guests } from "./guests.ts";
import { Membership } from "./membership.ts";
import { observe } from "./observe.ts";
import { Partition } from "./partition.ts";
import { retrying } from "./retrying.ts";

/**
 * What a coordinator is between its start and its end, or the moment at which code in its process was stopped: its place
 * among the others, its partitions and all that they have in memory.
 *
 * I1. Abandoned, it does nothing any more, as if its process had been killed: whoever follows it begins from the log.
 * I2. However many partitions cannot be taken, one retry is pending, which takes all that are missing.
 *
 * Checked elsewhere:
 *   I1  ../../../../test/e2e/loops.test.ts: is stopped, tried once more and parked, and the others go on at once
 *   I2  ../../../../test/simulation/outage.test.ts: are tried again by one retry for all, less and less often, with one warning in ten seconds
 */
export class Incarnation {
  readonly deps: Deps;
  readonly #partitions = new Map<number, Partition>();
  readonly #releases = new Set<Promise<void>>();
  readonly #membership: Membership;
  readonly #guests: Guests;
  #due: Consumption | undefined;
  #errors: Subscription | undefined;
  #observing: { stop(): void } | undefined;
  #watching: Subscription | undefined;
  #settled: unknown;
  readonly #again: Retry;
  #running = true;
  /** It has taken its share once. */
  #assigned = false;

  constructor(deps: Omit<Deps, "hostOf">) {
    this.deps = { ...deps, hostOf: (workflow, run) => this.#membership.hostOf(workflow, run) };
    this.#membership = new Membership(this.deps, () => {
      this.#assign();
      for (const partition of this.#partitions.values()) partition.onPeers();
    });
    this.#again = new Retry(deps.clock, () => this.#assign(), { firstMs: 500, longestMs: 5_000 });
    const partitionOf = (run: string) => this.#partitions.get(this.deps.log.subjects.partition(run));
    this.#guests = new Guests(this.deps, (done) => partitionOf(done.run)?.guestDone(done));
  }

  /** Partitions it has, in order. */
  get partitions(): readonly number[] {
    return [...this.#partitions.keys()].sort((a, b) => a - b);
  }

  /** Why it cannot take work now; undefined: it can. */
  get notReady(): string | undefined {
    if (!this.#due || !this.#assigned) return "it is starting";
    if (this.#membership.isolated) return "it does not receive its own presence from nats-server";
    if (this.#again.pending) return "a partition could not be taken; trying again";
    const missing = [...this.#partitions].find(([, partition]) => !partition.taken)?.[0];
    return missing === undefined ? undefined : `partition ${missing} cannot be taken now`;
  }

  /** Takes its share of the partitions. */
  async start(): Promise<void> {
    const { log, clock, telemetry, settings, warn } = this.deps;
    this.#errors = log.onError(warn);
    this.#guests.start();
    this.#membership.start();
    this.#watching = watchClock(log, clock, (aheadMs) => this.deps.emit({ type: "clock", aheadMs }));
    this.#observing = telemetry.observe?.(() => observe(this.deps, this.partitions));
    const due = await retrying(
      this.deps,
      "take due timers",
      () => this.#takeDue(),
      () => this.#running,
    );
    if (due instanceof LogRefusedError) throw due;
    this.#due = due;
    if (!this.#running) return void (await due?.stop());
    // Others answer at once; so partitions do not change hands twice.
    await new Promise<void>((resolve) => {
      this.#settled = clock.setTimeout(resolve, Math.min(250, settings.presenceMs / 4));
    });
    this.#assign();
  }

  /** All commands or timers were lost. */
  expectLoss(): void {
    for (const partition of this.#partitions.values()) partition.expectLoss();
  }

  /** A refusal is not tried again: it is returned. */
  async #takeDue(): Promise<Consumption | LogRefusedError> {
    try {
      return await takeDueTimers(this.deps);
    } catch (error) {
      if (error instanceof LogRefusedError) return error;
      throw error;
    }
  }

  /** Finishes what is under way and hands its partitions over. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.deps.clock.clearTimeout(this.#settled);
    this.#again.stop();
    this.#observing?.stop();
    this.#watching?.stop();
    for (const [n, partition] of this.#partitions) this.#release(n, partition);
    await Promise.all([...this.#releases, this.#guests.stop(), this.#due?.stop()]);
    this.#membership.stop();
    this.deps.later.stop();
    this.#errors?.stop();
  }

  /** Ends at once and for good, whatever is under way. Sets flags only: it may be called in the middle of anything. */
  abandon(): void {
    this.#running = false;
    this.#again.stop();
    this.#observing?.stop();
    this.#watching?.stop();
    this.#membership.abandon();
    this.#guests.abandon();
    this.deps.later.stop();
    for (const partition of this.#partitions.values()) {
      partition.abandon();
      this.deps.telemetry.partition?.(false);
    }
    this.#partitions.clear();
  }

  #assign(): void {
    if (!this.#running) return;
    this.#assigned = true;
    for (let n = 0; n < this.deps.log.subjects.partitions; n++) {
      const owned = this.#membership.owns(n);
      const partition = this.#partitions.get(n);
      // One that has just failed waits for the retry, whatever else calls this meanwhile.
      if (owned && !partition && !this.#again.pending && !this.#membership.isolated) this.#take(n);
      else if (!owned && partition) this.#release(n, partition);
    }
  }

  #take(n: number): void {
    const { emit, telemetry, warn } = this.deps;
    const partition = new Partition(this.deps, n);
    this.#partitions.set(n, partition);
    emit({ type: "partition", partition: n, owned: true });
    telemetry.partition?.(true);
    const failed = (error: unknown) => {
      warn("take a partition", error);
      // Released meanwhile, and perhaps taken again.
      if (this.#partitions.get(n) !== partition) return;
      this.#partitions.delete(n);
      emit({ type: "partition", partition: n, owned: false });
      telemetry.partition?.(false);
      this.#again.schedule();
    };
    partition.start().then(() => this.#taken(), failed);
  }

  /** The waits begin again with the shortest once all are taken: others may still fail. */
  #taken(): void {
    const all = [...this.#partitions.values()].every((partition) => partition.started);
    if (all && !this.#again.pending) this.#again.done();
  }

  #release(n: number, partition: Partition): void {
    const { emit, telemetry } = this.deps;
    this.#partitions.delete(n);
    emit({ type: "partition", partition: n, owned: false });
    telemetry.partition?.(false);
    const released = partition.release().finally(() => this.#releases.delete(released));
    this.#releases.add(released);
  }
}
