/**
 * What a run of the model may come to, worked out without the engine.
 *
 * The workflow function is called with a `w` of its own, in which nothing fails, nothing is late and nothing is stored:
 * a step answers at once (`answer`), a sleep is over at once. Where time decides (who wins a race, whether a signal
 * comes before a time-out), the function is called once for each way it can go. What only the world knows comes as
 * facts: which signals came, which updates were completed, how the children ended, what side effects returned.
 *
 * P1. It shares no code with the coordinator but the schemas, the errors and the generator of `w.random()`.
 * P2. For the same facts it gives the same list.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  ChildError,
  decodeValue,
  type Failure,
  fromFailure,
  StepError,
  type TerminalEvent,
  TimeoutError,
  WorkflowFailedError,
} from "@stepstream/contracts";
import type { AnyStep, AnyWorkflow } from "@stepstream/sdk";
import { seededRandom, uuidOf } from "../../services/coordinator/src/run/chance.ts";
import { spellValue } from "./values.ts";

/** How a run ended, as far as it is compared. */
export type Ending =
  /** `output` as `spellValue` writes it. */
  | { how: "completed"; output: string }
  | { how: "failed"; error: string }
  | { how: "cancelled" }
  | { how: "terminated" };

/** One way that a run may go. */
export interface Expected {
  readonly ending: Ending;
  /** Steps and children with their inputs that it has asked for, whatever happened. */
  readonly asked: readonly string[];
  /** Those that it may have asked for besides: in a scope that timed out. */
  readonly maybe: readonly string[];
  /** What a cancel does not keep it from asking for. */
  readonly shielded: readonly string[];
  /** The compensations, in the order they have to run in if the run fails or is cancelled. */
  readonly compensations: readonly string[];
  readonly progress: readonly string[];
  /** The patches whose new code it has taken. */
  readonly patches: readonly string[];
  /** The output of each update that was completed, by its id. */
  readonly answers: ReadonlyMap<string, unknown>;
}

/** What only the world knows. */
export interface Facts {
  readonly run: string;
  readonly input: unknown;
  /** In the order of the stream, each id once. */
  readonly signals: readonly { name: string; payload?: unknown }[];
  readonly updates: readonly { id: string; name: string; input?: unknown; completed: false | "in time" | "late" }[];
  readonly sideEffects: readonly { value?: unknown; error?: Failure | undefined }[];
  /** Which code it can have been run by; "both": it was under way when the new code came. */
  readonly code: "old" | "new" | "both";
  child(run: string): TerminalEvent | undefined;
  /** It was asked to end early: what it waits for may never come. */
  readonly stopped: boolean;
}

export type Answer = (step: string, input: unknown) => { output: unknown } | { error: Error };

/** So many ways a run can go at most: more are a model that is too free. */
const MOST_WAYS = 256;
const MOST_SEGMENTS = 50;

/** @returns All ways that the run can go: none if the facts rule out all of them. */
export async function waysOf(workflow: AnyWorkflow, facts: Facts, answer: Answer): Promise<Expected[]> {
  const ways: Expected[] = [];
  let decisions: number[] | undefined = [];
  for (let n = 0; decisions; n++) {
    if (n === MOST_WAYS) throw new Error(`workflow "${workflow.name}" can go in more than ${MOST_WAYS} ways`);
    const choices = new Choices(decisions);
    const way = await new Reference(workflow, facts, answer, choices).run();
    if (way) ways.push(way);
    decisions = choices.next();
  }
  return ways;
}

/** The codes of an error and its causes, and what the innermost says: nothing that depends on attempts or slots. */
function spellError(error: Failure): string {
  let last = error;
  let text = error.code;
  while (last.cause) {
    last = last.cause;
    text += ` < ${last.code}`;
  }
  if (/^WORKFLOW_(CANCELLED|TERMINATED)$/.test(last.code)) return text;
  const { detail } = (last.data ?? {}) as { detail?: { kind?: string } };
  return `${text}: ${detail?.kind ?? last.message}`;
}

export function endingOf(end: TerminalEvent): Ending {
  switch (end.type) {
    case "RunCompleted":
      return { how: "completed", output: spellValue(end.output) };
    case "RunFailed":
      return { how: "failed", error: spellError(end.error) };
    case "RunCancelled":
      return { how: "cancelled" };
    case "RunTerminated":
      return { how: "terminated" };
  }
}

class Choices {
  readonly #given: readonly number[];
  readonly #taken: { n: number; which: number }[] = [];

  constructor(given: readonly number[]) {
    this.#given = given;
  }

  choose(n: number): number {
    const which = this.#given[this.#taken.length] ?? 0;
    this.#taken.push({ n, which });
    return which;
  }

  next(): number[] | undefined {
    const taken = [...this.#taken];
    for (let last = taken.pop(); last; last = taken.pop())
      if (last.which + 1 < last.n) return [...taken.map(({ which }) => which), last.which + 1];
    return undefined;
  }
}

/** This cannot have happened: a signal is waited for that never came. */
class Impossible extends Error {}

const CONTINUED = Symbol("continued");

class Reference {
  readonly #workflow: AnyWorkflow;
  readonly #facts: Facts;
  readonly #answer: Answer;
  readonly #choices: Choices;
  readonly #asked: string[] = [];
  readonly #maybe: string[] = [];
  readonly #shielded: string[] = [];
  readonly #isShielded = new AsyncLocalStorage<boolean>();
  readonly #compensations: string[] = [];
  readonly #progress: string[] = [];
  readonly #answers = new Map<string, unknown>();
  /** Is it certain that what is asked for here is asked for? */
  readonly #certain = new AsyncLocalStorage<boolean>();
  readonly #random: () => number;
  readonly #signals: Facts["signals"][number][];
  readonly #effects: Facts["sideEffects"][number][];
  readonly #handlers = new Map<string, (input: any) => unknown>();
  readonly #children = new Set<string>();
  readonly #updated = new Set<string>();
  readonly #patches = new Map<string, boolean>();
  #next: unknown;
  #impossible = false;
  #now = 0;

  constructor(workflow: AnyWorkflow, facts: Facts, answer: Answer, choices: Choices) {
    this.#workflow = workflow;
    this.#facts = facts;
    this.#answer = answer;
    this.#choices = choices;
    this.#signals = [...facts.signals];
    this.#effects = [...facts.sideEffects];
    this.#random = seededRandom(facts.run);
  }

  async run(): Promise<Expected | undefined> {
    const ending = await this.#ending();
    if (this.#impossible) return undefined;
    return {
      ending,
      asked: this.#asked,
      maybe: this.#maybe,
      shielded: this.#shielded,
      compensations: this.#compensations.toReversed(),
      progress: this.#progress,
      patches: [...this.#patches].flatMap(([id, taken]) => (taken ? [id] : [])),
      answers: this.#answers,
    };
  }

  async #ending(): Promise<Ending> {
    let input = this.#facts.input;
    const w = this.#context();
    for (let segment = 0; segment < MOST_SEGMENTS; segment++) {
      this.#next = CONTINUED;
      try {
        const output = await this.#workflow.run(this.#workflow.input.parse(input), w as never);
        // What it holds may change until all updates are answered.
        const spelled = spellValue(output);
        await this.#update("in time");
        await this.#update("late");
        if (this.#next === CONTINUED) return { how: "completed", output: spelled };
      } catch (error) {
        if (this.#next === CONTINUED) {
          if (error instanceof Impossible && !this.#facts.stopped) this.#impossible = true;
          return { how: "failed", error: this.#failure(error) };
        }
      }
      input = this.#next;
    }
    throw new Error(`workflow "${this.#workflow.name}" goes on as new for ever`);
  }

  #failure(error: unknown): string {
    const own = error instanceof StepError || error instanceof ChildError || error instanceof TimeoutError;
    return spellError(asFailure(own ? error : new WorkflowFailedError(this.#facts.run, error as Error)));
  }

  #ask(what: string): void {
    (this.#certain.getStore() === false ? this.#maybe : this.#asked).push(what);
    if (this.#isShielded.getStore()) this.#shielded.push(what);
  }

  /** Those that were completed before the function returned, or after; in what is compared, when else does not matter. */
  async #update(when: "in time" | "late"): Promise<void> {
    if (this.#updated.has(when)) return;
    this.#updated.add(when);
    for (const { id, name, input, completed } of this.#facts.updates) {
      const handler = this.#handlers.get(name);
      if (!handler || completed !== when) continue;
      this.#answers.set(id, spellValue(await handler(this.#workflow.updates[name].input.parse(input))));
    }
  }

  #settled<T>(act: () => T): Promise<T> {
    const promise = new Promise<T>((resolve) => resolve(act()));
    promise.catch(() => {});
    return promise;
  }

  #context() {
    const { run } = this.#facts;
    const first = async (list: readonly unknown[]) => list[this.#choices.choose(list.length)];
    const w = {
      runId: run,
      cancelled: new AbortController().signal,
      history: { length: 1, continueSuggested: false },
      run: (step: AnyStep, input: unknown) =>
        this.#settled(() => {
          this.#ask(spellStep(step.name, input));
          const answered = this.#answer(step.name, input);
          if ("output" in answered) return step.output.parse(answered.output);
          throw new StepError({ run, step: step.name, slot: 1, attempt: 1 }, input, answered.error);
        }),
      child: (workflow: AnyWorkflow, input: unknown, options: { id: string; onParentClose?: string }) =>
        this.#settled(() => {
          this.#ask(spellChild(workflow.name, workflow.version, options.id, input));
          const where = { run, slot: 1, child: options.id, workflow: workflow.name };
          if (this.#children.has(options.id)) throw new ChildError(where, errorOf("RUN_ALREADY_EXISTS"));
          this.#children.add(options.id);
          const end = this.#facts.child(options.id);
          if (end?.type === "RunCompleted") return workflow.output.parse(end.output);
          const ended = end && endingOf(end);
          if (ended?.how === "failed") throw new ChildError(where, errorOf(ended.error));
          // It was stopped: then nobody has waited for it.
          throw new Impossible();
        }),
      all: async (list: any) => {
        const promises = Object.values(list);
        const failed = (await Promise.allSettled(promises)).filter((one) => one.status === "rejected");
        if (failed.length > 0) throw failed[this.#choices.choose(failed.length)]!.reason;
        const done = await Promise.all(promises);
        return Array.isArray(list) ? done : Object.fromEntries(Object.keys(list).map((key, i) => [key, done[i]]));
      },
      allSettled: async (list: any) => {
        const done = await Promise.allSettled(Object.values(list));
        return Array.isArray(list) ? done : Object.fromEntries(Object.keys(list).map((key, i) => [key, done[i]]));
      },
      race: async (list: any) => {
        if (Array.isArray(list)) return first(list);
        const names = Object.keys(list);
        const name = names[this.#choices.choose(names.length)]!;
        return { name, value: await list[name]() };
      },
      any: async (list: readonly unknown[]) => {
        const fulfilled = (await Promise.allSettled(list)).filter((one) => one.status === "fulfilled");
        if (fulfilled.length === 0) return Promise.any(list);
        return fulfilled[this.#choices.choose(fulfilled.length)]!.value;
      },
      map: (items: readonly unknown[], fn: (item: unknown, i: number) => Promise<unknown>) =>
        Promise.all(items.map((item, i) => fn(item, i))),
      sleep: async () => {},
      waitFor: async (
        name: string,
        options?: { timeout?: unknown; onTimeout?: "undefined" | "throw"; where?: (payload: any) => boolean },
      ) => {
        const { where = () => true } = options ?? {};
        const at = this.#signals.findIndex((signal) => signal.name === name && where(signal.payload));
        if (options?.timeout !== undefined && (at < 0 || this.#choices.choose(2) === 1)) {
          if (options.onTimeout === "throw") throw new TimeoutError("signal", 1);
          return undefined;
        }
        if (at < 0) throw new Impossible();
        return this.#workflow.signals[name].parse(this.#signals.splice(at, 1)[0]!.payload);
      },
      until: async (condition: () => boolean, options?: { timeout?: unknown }) => {
        if (condition()) return true;
        await this.#update("in time");
        if (condition()) return true;
        if (options?.timeout === undefined) throw new Impossible();
        return false;
      },
      onQuery: () => {},
      onUpdate: (name: string, handler: (input: any) => unknown) => void this.#handlers.set(name, handler),
      scope: (fn: () => Promise<unknown>, options?: { timeout?: unknown }) => {
        const late = options?.timeout !== undefined && this.#choices.choose(2) === 1;
        const body = late ? this.#certain.run(false, async () => fn()) : (async () => fn())();
        body.catch(() => {});
        let cancelled: Error | undefined;
        const promise = (async () => {
          const value = await body;
          if (late) throw new TimeoutError("scope", 1);
          if (cancelled) throw cancelled;
          return value;
        })();
        promise.catch(() => {});
        return Object.assign(promise, {
          cancel: (reason: string) => {
            cancelled = new Error(reason);
          },
        });
      },
      uncancellable: (fn: () => Promise<unknown>) => this.#isShielded.run(true, async () => fn()),
      continueAsNew: (input: unknown) => {
        this.#next = structuredClone(input);
        return Promise.reject(CONTINUED);
      },
      patched: (id: string) => {
        const { code } = this.#facts;
        const taken = this.#patches.get(id) ?? (code === "both" ? this.#choices.choose(2) === 0 : code === "new");
        this.#patches.set(id, taken);
        return taken;
      },
      sideEffect: () => {
        const effect = this.#effects.shift();
        if (!effect) throw new Impossible();
        if (effect.error) throw fromFailure(effect.error);
        return decodeValue(effect.value);
      },
      now: () => ++this.#now,
      random: this.#random,
      uuid: () => uuidOf(this.#random),
      repeatUntil: async (
        check: (n: number) => Promise<unknown>,
        fix: (why: unknown, n: number) => Promise<unknown>,
        options: { maxAttempts: number },
      ) => {
        for (let n = 1; ; n++) {
          let failure: unknown;
          try {
            const result = await check(n);
            if (result !== false) return result;
          } catch (error) {
            failure = error;
          }
          if (n >= options.maxAttempts) throw failure ?? new Error(`The check did not pass in ${n} attempts.`);
          this.#random();
          await fix(failure, n);
        }
      },
      compensate: (step: AnyStep, input: unknown) => void this.#compensations.push(spellStep(step.name, input)),
      progress: (progress: object) => void this.#progress.push(JSON.stringify(progress)),
    };
    return w;
  }
}

/** An error of which only the spelling is known: that of a child, for which the child's own run is judged. */
function errorOf(spelled: string): Error {
  const at = spelled.indexOf(": ");
  const [chain, message] = at < 0 ? [spelled, ""] : [spelled.slice(0, at), spelled.slice(at + 2)];
  const timeout = { kind: message, detail: { kind: message } };
  return chain.split(" < ").reduceRight<Error | undefined>((cause, code) => {
    const error = new Error(message, cause && { cause });
    return Object.assign(error, { code }, !cause && code === "TIMEOUT" ? timeout : {});
  }, undefined)!;
}

/** As the engine writes it down, as far as `spellError` looks. */
function asFailure(error: Error): Failure {
  const { code = "ERROR", detail } = error as { code?: string; detail?: object };
  const cause = error.cause instanceof Error ? error.cause : undefined;
  return {
    name: error.name,
    code,
    message: error.message,
    ...(detail && { data: { detail } }),
    ...(cause && { cause: asFailure(cause) }),
  };
}

export function spellStep(step: string, input: unknown): string {
  return `${step} ${spellValue(input)}`;
}

export function spellChild(workflow: string, version: number, id: string, input: unknown): string {
  return `child ${id} of ${workflow} ${version} ${spellValue(input)}`;
}
