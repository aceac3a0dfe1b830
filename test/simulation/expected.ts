/**
 * Holds what became of a run against what may become of it (./reference.ts).
 *
 * - A run that was not stopped has gone one of the ways exactly: its ending, what it asked for, the order of its
 *   compensations, its progress, the answers to its updates.
 * - One that was asked to stop, or whose time was up, may have ended early: it has asked for nothing else than on the
 *   way there, and has compensated what it had registered, last first.
 */
import { decodeValue, type RunEvent } from "@stepstream/contracts";
import type { AnyWorkflow } from "@stepstream/sdk";
import type { SimulatedRun, SimulatedWorld } from "@stepstream/testing";
import { type Ending, type Expected, endingOf, type Facts, spellChild, spellStep, waysOf } from "./reference.ts";
import { checkSchedule } from "./schedules.ts";
import { answer } from "./steps.ts";
import { spellValue } from "./values.ts";

export interface Model {
  readonly workflows: readonly AnyWorkflow[];
  /** What these come to: the reference has no guards for them. */
  readonly known: Readonly<Record<string, (input: any) => Expected>>;
  /**
   * The workflow that gets new code in the middle of each world, and the first step after the
   * place that was changed: whichever code asks for it has passed that place.
   */
  readonly patch: { readonly workflow: string; readonly step: string };
}

/** @returns What is not as expected. */
export async function checkExpected(run: SimulatedRun, world: SimulatedWorld, model: Model): Promise<string[]> {
  const real = readRun(run);
  if (!real) return [];
  if (run.workflow === "_schedule") return checkSchedule(run, world, real.stopped);
  if (run.workflow.startsWith("_")) return [];
  const workflow = model.workflows.find(({ name, version }) => name === run.workflow && version === real.version)!;
  const known = model.known[run.workflow];
  const expected = known ? [known(run.input)] : await waysOf(workflow, factsOf(run, real, world, model), answer);
  // What updates have asked for, also if they were not completed.
  const ghosts = real.updates.map(({ input }) => `"n":${100 + (input as number)}`);
  const faults = expected.map((way) => differences(real, way, ghosts));
  if (faults.some((found) => found.length === 0)) return [];
  if (real.stopped && endsEarly(real)) return stoppedEarly(real, expected, ghosts);
  const closest = faults.sort((a, b) => a.length - b.length)[0] ?? ["it cannot have ended at all"];
  return closest.map((fault) => `${run.workflow}: ${fault}`);
}

interface Real {
  readonly version: number;
  readonly ending: Ending;
  readonly asked: readonly string[];
  readonly compensations: readonly string[];
  readonly progress: readonly string[];
  readonly patches: readonly string[];
  readonly answers: ReadonlyMap<string, unknown>;
  readonly updates: Facts["updates"];
  readonly events: readonly RunEvent[];
  /** It was asked to end, or its time was up. */
  readonly stopped: boolean;
  readonly timedOut: boolean;
  /** Slots of `book` that have completed: what is booked has to be undone. */
  readonly booked: number;
}

function readRun({ end, history }: SimulatedRun): Real | undefined {
  const all = history.flatMap((entry) => (entry.kind === "inbox" ? [entry.message] : []));
  // What came before its start was for a run that had the id and was deleted.
  const inbox = all.slice(all.findIndex(({ type }) => type === "RunStarted"));
  const start = inbox[0];
  // Decisions about messages from before its start are of a run that had the id.
  const from = history.find((entry) => entry.kind === "inbox" && entry.message === start)?.seq ?? 0;
  const events = history.flatMap((entry) =>
    entry.kind === "journal" && entry.message.upTo >= from ? entry.message.events : [],
  );
  if (!end || start?.type !== "RunStarted") return undefined;
  const answers = new Map<string, unknown>();
  const late = new Set<string>();
  let closing = false;
  for (const event of events) {
    if (event.type === "RunClosing") closing = true;
    if (event.type === "UpdateCompleted") answers.set(event.id, spellValue(decodeValue(event.output)));
    if (event.type === "UpdateCompleted" && closing) late.add(event.id);
  }
  const requests = new Map(
    inbox.flatMap((m) =>
      m.type === "UpdateRequested" ? [[m.id, { ...m, input: decodeValue(m.input) }] as const] : [],
    ),
  );
  const completed = [...answers.keys()].map((id) => ({
    ...requests.get(id)!,
    completed: late.has(id) ? ("late" as const) : ("in time" as const),
  }));
  const rest = [...requests.values()].flatMap((m) => (answers.has(m.id) ? [] : [{ ...m, completed: false as const }]));
  const asked: string[] = [];
  const compensations: string[] = [];
  for (const event of events) {
    if (event.type === "StepScheduled")
      (event.compensation ? compensations : asked).push(spellStep(event.step, decodeValue(event.input)));
    if (event.type === "ChildScheduled")
      asked.push(spellChild(event.workflow, event.version, event.run, decodeValue(event.input)));
  }
  const booking = new Set(events.flatMap((e) => (e.type === "StepScheduled" && e.step === "book" ? [e.slot] : [])));
  const settled = new Map<number, string>();
  for (const message of inbox)
    if (
      "slot" in message &&
      message.type !== "StepStartedTwice" &&
      booking.has(message.slot) &&
      !settled.has(message.slot)
    )
      settled.set(message.slot, message.type);
  const timedOut = events.some(({ type }) => type === "RunTimedOut");
  return {
    version: start.version,
    ending: endingOf(end),
    asked,
    compensations,
    progress: events.flatMap((event) => {
      if (event.type !== "ProgressReported") return [];
      const { step, total, name } = event;
      return [JSON.stringify({ step, total, name })];
    }),
    patches: events.flatMap((event) => (event.type === "Patched" ? [event.id] : [])),
    answers,
    updates: [...completed, ...rest],
    events,
    stopped: timedOut || inbox.some(({ type }) => type === "CancelRequested" || type === "TerminateRequested"),
    timedOut,
    booked: [...settled.values()].filter((type) => type === "StepCompleted").length,
  };
}

function factsOf(run: SimulatedRun, real: Real, world: SimulatedWorld, { patch }: Model): Facts {
  const ids = new Set<string>();
  const signals = run.history.flatMap((entry) => {
    if (entry.kind !== "inbox") return [];
    const { message } = entry;
    const came =
      message.type === "RunStarted" ? (message.signals ?? []) : message.type === "SignalReceived" ? [message] : [];
    const fresh = came.filter(({ id }) => ids.size !== ids.add(id).size);
    return fresh.map((signal) => ({ ...signal, payload: decodeValue(signal.payload) }));
  });
  return {
    run: run.id,
    input: run.input,
    signals,
    updates: real.updates,
    sideEffects: real.events.filter((event) => event.type === "SideEffectRecorded"),
    code: run.workflow === patch.workflow ? codeOf(run, patch.step, world.deployedAt) : "new",
    child: (id) => world.end(id),
    stopped: real.stopped,
  };
}

/** What a coordinator had on its way when it was killed may be stored a little later. */
const ON_ITS_WAY_MS = 3_000;

/** @param deployedAt - Not reckoned from the beginning of the world: its clock may leap before. */
function codeOf({ history }: SimulatedRun, step: string, deployedAt = Number.POSITIVE_INFINITY): Facts["code"] {
  const passed = history.find(
    (entry) =>
      entry.kind === "journal" &&
      entry.message.events.some((event) => event.type === "StepScheduled" && event.step === step),
  );
  if (!passed || history[0]!.at >= deployedAt) return history[0]!.at >= deployedAt ? "new" : "both";
  if (passed.at < deployedAt) return "old";
  return passed.at >= deployedAt + ON_ITS_WAY_MS ? "new" : "both";
}

function differences(real: Real, way: Expected, ghosts: readonly string[]): string[] {
  const faults: string[] = [];
  const compare = (what: string, got: unknown, expected: unknown) => {
    const [one, other] = [show(got), show(expected)];
    if (one !== other) faults.push(`its ${what} is ${one}, and should be ${other}`);
  };
  compare("ending", real.ending, way.ending);
  compare("compensations", real.compensations, way.ending.how === "failed" ? way.compensations : []);
  compare("progress", real.progress, way.progress);
  compare("patches", real.patches, way.patches);
  const answers = [...real.answers].map(([id, output]) => [id, output]);
  compare("answers", answers, [...way.answers]);
  const asked = without(real.asked, way.asked);
  if (asked.missing.length > 0) faults.push(`it has not asked for ${asked.missing}`);
  const more = without(asked.rest, way.maybe).rest.filter((one) => !ghosts.some((ghost) => one.includes(ghost)));
  if (more.length > 0) faults.push(`it has asked for ${more} as well`);
  return faults;
}

function endsEarly({ ending, timedOut }: Real): boolean {
  if (ending.how === "failed") return timedOut && ending.error === "TIMEOUT: run";
  return ending.how !== "completed";
}

function stoppedEarly(real: Real, ways: readonly Expected[], ghosts: readonly string[]): string[] {
  const faults: string[] = [];
  const { ending } = real;
  const may = new Set(ways.flatMap((way) => [...way.asked, ...way.maybe]));
  if (ways.length > 0)
    for (const one of real.asked)
      if (!may.has(one) && !ghosts.some((ghost) => one.includes(ghost))) faults.push(`it has asked for ${one}`);
  const twice = real.asked.filter((one, at) => real.asked.indexOf(one) !== at);
  for (const one of twice)
    if (!ways.some((way) => [...way.asked, ...way.maybe].filter((other) => other === one).length > 1))
      faults.push(`it has asked twice for ${one}`);
  if (ending.how !== "terminated" && ways.length > 0)
    for (const one of ways[0]!.shielded)
      if (!real.asked.includes(one)) faults.push(`it was stopped, and has not asked for its clean-up ${one}`);
  // Last first: of all that may be registered, a tail of the order. Of what was booked, all of it.
  for (const way of ways.slice(0, 1)) {
    const { compensations } = way;
    const booked = real.asked.some((one) => one.startsWith("book ")) ? real.booked : undefined;
    const tails = compensations.map((_, at) => compensations.slice(at)).concat([[]]);
    const possible = booked === undefined ? tails : [compensations.slice(compensations.length - booked)];
    const got = show(real.compensations);
    // A terminate may come in the middle of them.
    const right = possible.some((tail) =>
      ending.how === "terminated" ? got === show(tail.slice(0, real.compensations.length)) : got === show(tail),
    );
    if (!right) faults.push(`it was stopped, and its compensations are ${got}; may be ${show(possible)}`);
  }
  return faults;
}

/** Multisets: what is not there of what should be, and what is there besides. */
function without(all: readonly string[], some: readonly string[]): { rest: string[]; missing: string[] } {
  const rest = [...all];
  const missing = some.filter((one) => {
    const at = rest.indexOf(one);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return { rest, missing };
}

/** JSON with sorted keys. */
function show(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? "nothing"
  );
}
