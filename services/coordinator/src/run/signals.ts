import { deepFreeze, fromWire, InvalidInputError, type Signal, thorough, toFailure } from "@stepstream/contracts";
import type { RunExecution } from "./execution.ts";
import { mustBeSync } from "./frame.ts";
import type { Seen } from "./seen.ts";
import type { Wait, Waits } from "./waits.ts";

/** Which payloads a wait takes. */
export type Where = (payload: any) => boolean;

/** A signal that was accepted, and that no wait has taken. */
interface Kept {
  /** In the order of the history. */
  readonly order: number;
  readonly signal: Signal;
  readonly payload: unknown;
}

interface Waiting {
  readonly wait: Wait;
  readonly where: Where | undefined;
}

/**
 * The signals of a run: kept until they are asked for, in their order, each handed out once.
 *
 * N1. The same id again is the same signal.
 * N2. One that the workflow does not know, or whose payload does not fit, is refused, and the journal says so.
 * N3. A signal is never lost to a wait that has lost its race: signals that were kept are handed out one for each
 *     macrotask, so that the code which takes one can first withdraw its other waits.
 *
 * N1 and N3 are asserted ("signals N1", "signals N3"). The simulation, too, compares what became of every signal that it
 * sends.
 *
 * Checked elsewhere:
 *   N2  outside.test.ts: %s is refused, and the run goes on
 */
export class Signals {
  readonly #run: RunExecution;
  readonly #waits: Waits;
  readonly #seen: Seen;
  readonly #kept = new Map<string, Kept[]>();
  readonly #waiting = new Map<string, Set<Waiting>>();
  /** Waits that have a kept signal to themselves, and get it in one of the next macrotasks. */
  readonly #assigned = new Map<Wait, Kept>();
  #accepted = 0;
  #handedOut = 0;
  /** Only where checks are thorough. */
  #ids: Set<string> | undefined;

  constructor(run: RunExecution, waits: Waits, seen: Seen) {
    this.#run = run;
    this.#waits = waits;
    this.#seen = seen;
  }

  /** Signals that are there from the start. */
  begin(signals: readonly Signal[]): void {
    for (const signal of signals) this.receive(signal);
  }

  /** Signals that an earlier life has taken note of, and nobody has asked for. */
  carryOn(signals: readonly Signal[]): void {
    for (const signal of signals) {
      const read = this.#read(signal.name, signal.payload);
      if (!("error" in read)) this.#keep({ order: ++this.#accepted, signal, payload: deepFreeze(read.value) });
    }
  }

  receive(signal: Signal): void {
    const { id, name, payload } = signal;
    if (!this.#seen.add("signal", id)) return;
    const read = this.#read(name, payload);
    if ("error" in read) {
      this.#run.decide({ type: "SignalRefused", id, name, error: toFailure(read.error) });
      return;
    }
    if (thorough) {
      this.#ids ??= new Set();
      this.#run.holds(!this.#ids.has(id), "signals N1", `signal ${id} was accepted twice`);
      this.#ids.add(id);
    }
    this.#run.decide({ type: "SignalAccepted", id, name });
    const kept: Kept = { order: ++this.#accepted, signal: { id, name, payload }, payload: deepFreeze(read.value) };
    const next = this.#nextFor(kept);
    if (next) this.#handOut(next.wait, kept.payload);
    else this.#keep(kept);
  }

  #handOut(wait: Wait, payload: unknown): void {
    this.#handedOut++;
    this.#run.holds(this.#waits.has(wait), "signals N3", "a signal goes to a wait that is over");
    this.#waits.resolve(wait, payload);
  }

  /** Every signal that was accepted is handed out, kept, or about to be handed out. */
  check(): void {
    const kept = [...this.#kept.values()].reduce((sum, queue) => sum + queue.length, 0) + this.#assigned.size;
    const all = kept + this.#handedOut === this.#accepted;
    this.#run.holds(
      all,
      "signals N3",
      () => `of ${this.#accepted} signals, ${kept} are kept, ${this.#handedOut} handed out`,
    );
  }

  #keep(kept: Kept): void {
    const { name } = kept.signal;
    const queue = this.#kept.get(name) ?? [];
    this.#kept.set(name, queue);
    // One that was given back takes its place again.
    const at = queue.findIndex(({ order }) => order > kept.order);
    queue.splice(at < 0 ? queue.length : at, 0, kept);
  }

  /** The first wait that takes the signal. A predicate that throws ends its own wait, and no other. */
  #nextFor({ signal, payload }: Kept): Waiting | undefined {
    for (const waiting of this.#waiting.get(signal.name) ?? []) {
      try {
        if (takes(waiting.where, payload)) return waiting;
      } catch (error) {
        this.#waits.reject(waiting.wait, error as Error);
      }
    }
    return undefined;
  }

  /**
   * Waits for the next signal.
   * @param where - Only for one whose payload it holds for.
   * @param onOver - Called once, when the wait is over.
   * @returns `assigned`: there is one already, which is handed out in this turn.
   * @throws {RangeError} The workflow declares no such signal. @throws What `where` throws.
   */
  wait(name: string, where?: Where, onOver?: () => void): { wait: Wait; assigned: boolean } {
    this.known(name);
    const kept = this.#kept.get(name) ?? [];
    const at = kept.findIndex(({ payload }) => takes(where, payload));
    const waiting = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, waiting);
    const entry: { wait: Wait; where: Where | undefined } = { wait: undefined as unknown as Wait, where };
    entry.wait = this.#waits.add({
      signal: name,
      onOver: () => {
        waiting.delete(entry);
        this.#giveBack(entry.wait);
        onOver?.();
      },
    });
    if (at < 0) waiting.add(entry);
    else this.#assigned.set(entry.wait, kept.splice(at, 1)[0]!);
    return { wait: entry.wait, assigned: at >= 0 };
  }

  /** Hands out one of the signals that have a wait. @returns whether there was one. */
  deliver(): boolean {
    for (const [wait, { payload }] of this.#assigned) {
      this.#assigned.delete(wait);
      this.#handOut(wait, payload);
      return true;
    }
    return false;
  }

  /** A wait was withdrawn before it got its signal: that goes to the next one who waits, or is kept. */
  #giveBack(wait: Wait): void {
    const kept = this.#assigned.get(wait);
    if (!kept) return;
    this.#assigned.delete(wait);
    const next = this.#nextFor(kept);
    if (!next) return this.#keep(kept);
    this.#waiting.get(kept.signal.name)!.delete(next);
    this.#assigned.set(next.wait, kept);
  }

  /** Those that nobody has asked for, as they came. */
  get left(): Signal[] {
    return [...this.#kept.values()].flat().map(({ signal }) => signal);
  }

  /** @throws {RangeError} The workflow declares no such signal. */
  known(name: string): void {
    const { workflow } = this.#run;
    if (!Object.hasOwn(workflow.signals, name)) throw new RangeError(unknown(workflow, "signal", name));
  }

  #read(name: string, payload: unknown): { value: unknown } | { error: Error } {
    try {
      this.known(name);
    } catch (error) {
      return { error: error as Error };
    }
    const read = fromWire(this.#run.workflow.signals[name], payload);
    if (read.ok) return { value: read.value };
    return { error: new InvalidInputError(`signal "${name}"`, read.path, read.message, this.#run.where) };
  }
}

function takes(where: Where | undefined, payload: unknown): boolean {
  if (!where) return true;
  return Boolean(mustBeSync(where(payload), "The `where` of w.waitFor()", "It decides by the payload alone."));
}

/** What is said of a name that a workflow does not declare. */
export function unknown(
  workflow: { name: string; version: number; signals: object; queries: object; updates: object },
  kind: "signal" | "query" | "update",
  name: string,
): string {
  const declared = Object.keys({ signal: workflow.signals, query: workflow.queries, update: workflow.updates }[kind]);
  const has = declared.length > 0 ? `it has ${declared.join(", ")}` : "it has none";
  return `Workflow "${workflow.name}" version ${workflow.version} declares no ${kind} "${name}"; ${has}.`;
}
