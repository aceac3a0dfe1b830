/**
 * What travels through a world arrives as it was sent. Looked at when all is over, for every run. What was sent is compared
 * with what the public codec makes of what is stored, by value.
 *
 * O1. A handler is called with the input that the journal has for the slot, by the step that the journal names.
 * O2. The output of a slot is what a handler returned for that slot.
 * O3. A child is started as its parent's journal has it: workflow, version, input, delay, time-out. It has one parent.
 *     It is asked to stop as its policy says, and never if that is "abandon".
 * O4. The end of a child that its parent gets is the child's own end.
 * O5. A signal is accepted or refused once. An update is accepted once and answered once: with its output or its error
 *     only if it was accepted, with a refusal also after that, where the run ends first.
 * O6. Compensations start after the run has begun to end, and one starts when the one before it has an outcome.
 * O7. `run.result()` is what the last event of the journal says.
 */
import { inspect, isDeepStrictEqual } from "node:util";
import { decodeValue, fromWire, type InboxMessage, isTerminal, type RunEvent } from "@stepstream/contracts";
import type { AnyStep } from "@stepstream/sdk";
import { sameValue } from "./same-value.ts";

type Of<T extends RunEvent["type"]> = Extract<RunEvent, { type: T }>;

interface Call {
  readonly step: AnyStep;
  readonly slot: number;
  readonly input: unknown;
}

/** A world, as far as the results of one run need it. */
export interface Stored {
  inbox(run: string): readonly InboxMessage[];
  events(run: string): readonly RunEvent[];
}

/** All calls of handlers, and what they returned, by run. */
export class Calls {
  readonly #calls = new Map<string, Call[]>();
  readonly #returned = new Map<string, unknown[]>();
  readonly #forgotten = new Set<string>();

  called(run: string, slot: number, step: AnyStep, input: unknown): void {
    const calls = this.#calls.get(run) ?? [];
    this.#calls.set(run, calls);
    calls.push({ step, slot, input });
  }

  returned(run: string, slot: number, output: unknown): void {
    const key = `${run}/${slot}`;
    const all = this.#returned.get(key) ?? [];
    this.#returned.set(key, all);
    all.push(output);
  }

  /** The id is given to another run: attempts of the old one may still start, and cannot be told from those of the new. */
  forget(run: string): void {
    this.#forgotten.add(run);
    this.#calls.delete(run);
  }

  isForgotten(run: string): boolean {
    return this.#forgotten.has(run);
  }

  of(run: string): readonly Call[] {
    return this.#calls.get(run) ?? [];
  }

  outputsOf(run: string, slot: number): readonly unknown[] {
    return this.#returned.get(`${run}/${slot}`) ?? [];
  }
}

/** @returns What is not so. */
export function checkResults(run: string, stored: Stored, calls: Calls): string[] {
  const inbox = stored.inbox(run);
  const events = stored.events(run);
  return [
    ...(calls.isForgotten(run) ? [] : inputsOfSteps(run, events, calls)),
    ...outputsOfSteps(run, inbox, calls),
    ...children(run, events, stored),
    ...endsOfChildren(run, inbox, stored),
    ...parentOf(run, inbox, stored),
    ...answers(run, events),
    ...compensations(run, events, inbox),
  ];
}

/** O1 */
function inputsOfSteps(run: string, events: readonly RunEvent[], calls: Calls): string[] {
  const scheduled = new Map(all(events, "StepScheduled").map((event) => [event.slot, event]));
  return calls.of(run).flatMap(({ step, slot, input }) => {
    const event = scheduled.get(slot);
    if (event?.step !== step.name) return [`slot ${slot} of run ${run} was run by ${step.name}, not by ${event?.step}`];
    const read = fromWire(step.input, event.input);
    if (read.ok && sameValue(read.value, input)) return [];
    return [`step ${step.name} (slot ${slot}) of run ${run} got ${show(input)}; the journal has ${show(event.input)}`];
  });
}

/** O2 */
function outputsOfSteps(run: string, inbox: readonly InboxMessage[], calls: Calls): string[] {
  return inbox.flatMap((message) => {
    if (message.type !== "StepCompleted") return [];
    const outputs = calls.outputsOf(run, message.slot);
    const output = decodeValue(message.output);
    if (outputs.some((returned) => sameValue(returned, output))) return [];
    return [`slot ${message.slot} of run ${run} completed with ${show(message.output)}, which no handler returned`];
  });
}

/** O3 */
function children(run: string, events: readonly RunEvent[], stored: Stored): string[] {
  return all(events, "ChildScheduled").flatMap((asked) => {
    const start = stored.inbox(asked.run)[0];
    if (start?.type !== "RunStarted" || start.parent?.run !== run || start.parent.slot !== asked.slot) return [];
    const { workflow, version, input, delayMs, timeoutMs } = asked;
    const { onParentClose } = asked;
    const stop = { cancel: "CancelRequested", terminate: "TerminateRequested", abandon: undefined }[onParentClose];
    const stops = stored
      .inbox(asked.run)
      .filter(({ type }) => type === "CancelRequested" || type === "TerminateRequested");
    const odd = stops.find((m) => "reason" in m && m.reason.startsWith(`its parent ${run}: `) && m.type !== stop);
    if (odd) return [`child ${asked.run} of run ${run} (${onParentClose}) got a ${odd.type} from its parent`];
    const wrong = Object.entries({ workflow, version, input, delayMs, timeoutMs }).flatMap(([key, value]) => {
      const got = start[key as "input"];
      return same(got, value) ? [] : [`${key} ${show(got)} instead of ${show(value)}`];
    });
    return wrong.map((what) => `child ${asked.run} (slot ${asked.slot}) of run ${run} was started with ${what}`);
  });
}

/** O3, from the other side */
function parentOf(run: string, inbox: readonly InboxMessage[], stored: Stored): string[] {
  const start = inbox[0];
  if (start?.type !== "RunStarted" || !start.parent) return [];
  const { run: parent, slot } = start.parent;
  const asked = all(stored.events(parent), "ChildScheduled").some((e) => e.slot === slot && e.run === run);
  return asked ? [] : [`run ${run} was started as child ${slot} of run ${parent}, whose journal has not asked for it`];
}

/** O4 */
function endsOfChildren(run: string, inbox: readonly InboxMessage[], stored: Stored): string[] {
  return inbox.flatMap((message) => {
    if (message.type !== "ChildEnded") return [];
    const start = stored.inbox(message.child)[0];
    const own = start?.type === "RunStarted" && start.parent?.run === run && start.parent.slot === message.slot;
    const end = stored.events(message.child).findLast(isTerminal);
    const what = `the end of child ${message.child} (slot ${message.slot}) that run ${run} got`;
    if (!own) return message.outcome === "completed" ? [`${what} is of a run that is not its child`] : [];
    if (!end) return [`${what} came before the child ended`];
    const outcome = end.type.slice("Run".length).toLowerCase();
    if (outcome !== message.outcome) return [`${what} says ${message.outcome}, the child ${outcome}`];
    if (end.type === "RunCompleted" && !same(end.output, message.output))
      return [`${what} has the output ${show(message.output)}, the child ${show(end.output)}`];
    if (end.type === "RunFailed" && !same(end.error, message.error))
      return [`${what} has the error ${show(message.error)}, the child ${show(end.error)}`];
    return [];
  });
}

/** O5 */
function answers(run: string, events: readonly RunEvent[]): string[] {
  const faults: string[] = [];
  const once = (what: string, found: readonly { id: string }[]) => {
    const ids = new Set<string>();
    for (const { id } of found) if (ids.size === ids.add(id).size) faults.push(`${what} ${id} of run ${run} twice`);
    return ids;
  };
  // A run segment remembers the latest 200 ids of those before it: more than any simulated run gets.
  once("signal taken:", [...all(events, "SignalAccepted"), ...all(events, "SignalRefused")]);
  const accepted = once("update accepted:", all(events, "UpdateAccepted"));
  const answered = [...all(events, "UpdateCompleted"), ...all(events, "UpdateFailed")];
  once("update answered:", [...answered, ...all(events, "UpdateRefused")]);
  for (const { id } of answered)
    if (!accepted.has(id)) faults.push(`update ${id} of run ${run} was answered and not accepted`);
  return faults;
}

/** O6 */
function compensations(run: string, events: readonly RunEvent[], inbox: readonly InboxMessage[]): string[] {
  const closing = events.findIndex(({ type }) => type === "RunClosing");
  const slots = events.flatMap((event, at) =>
    event.type === "StepScheduled" && event.compensation ? [{ slot: event.slot, at }] : [],
  );
  if (slots.length === 0) return [];
  const faults: string[] = [];
  if (closing < 0 || slots.some(({ at }) => at < closing)) faults.push(`run ${run} compensates before it ends`);
  const isOutcome = ({ type }: InboxMessage) => type !== "TimerFired" && type !== "StepStartedTwice";
  const settled = new Set(inbox.flatMap((m) => ("slot" in m && isOutcome(m) ? [m.slot] : [])));
  for (const { slot } of slots.slice(0, -1))
    if (!settled.has(slot)) faults.push(`run ${run} went past the compensation in slot ${slot}, which has no outcome`);
  return faults;
}

function all<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T): Of<T>[] {
  return events.filter((event): event is Of<T> => event.type === type);
}

function same(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(one, other);
}

function show(value: unknown): string {
  return inspect(value, { depth: 5, breakLength: Number.POSITIVE_INFINITY }).slice(0, 200);
}
