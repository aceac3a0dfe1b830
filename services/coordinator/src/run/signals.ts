import { deepFreeze, fromWire, InvalidInputError, type Signal, toFailure } from "@stepstream/contracts";
import type { RunExecution } from "./execution.ts";

import type { Seen } from "./seen.ts";
import type { Wait, Waits } from "./waits.ts";

/**
 * The signals of a run: kept until they are asked for, in their order, each handed out once.
 *
 * N1. The same id again is the same signal.
 * N2. One that the workflow does not know, or whose payload does not fit, is refused, and the journal says so.
 */
export class Signals {
  readonly #run: RunExecution;
  readonly #waits: Waits;
  readonly #seen: Seen;
  readonly #kept = new Map<string, { signal: Signal; payload: unknown }[]>();
  readonly #waiting = new Map<string, Set<Wait>>();

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
      if (!("error" in read)) this.#keep(signal, deepFreeze(read.value));
    }
  }

  receive(signal: Signal): void {
    const { id, name, payload } = signal;
    if (!this.#seen.add(id)) return;
    const read = this.#read(name, payload);
    if ("error" in read) {
      this.#run.decide({ type: "SignalRefused", id, name, error: toFailure(read.error) });
      return;
    }
    this.#run.decide({ type: "SignalAccepted", id, name });
    const value = deepFreeze(read.value);
    for (const wait of this.#waiting.get(name) ?? []) return this.#waits.resolve(wait, value);
    this.#keep({ id, name, payload }, value);
  }

  #keep(signal: Signal, payload: unknown): void {
    const kept = this.#kept.get(signal.name) ?? [];
    this.#kept.set(signal.name, kept);
    kept.push({ signal, payload });
  }

  /** The oldest that nobody has asked for. */
  take(name: string): { payload: unknown } | undefined {
    this.known(name);
    return this.#kept.get(name)?.shift();
  }

  /** Waits for the next one. @param onOver - Called once, when the wait is over. */
  wait(name: string, onOver?: () => void): Wait {
    const queue = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, queue);
    const wait: Wait = this.#waits.add({
      signal: name,
      onOver: () => {
        queue.delete(wait);
        onOver?.();
      },
    });
    queue.add(wait);
    return wait;
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
