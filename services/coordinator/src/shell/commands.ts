import type { Trace } from "@stepstream/contracts";
import { decodeInbox, LogUnavailableError, WrongLastSequenceError } from "@stepstream/contracts";
import type { Appended, EventLog, Stored } from "@stepstream/event-log";
import { type AnyStep, policiesOf } from "@stepstream/sdk";
import type { RunExecution } from "../run/execution.ts";
import type { Slot, StepSlot } from "../run/slot.ts";
import type { Deps } from "./deps.ts";
import { retrying } from "./retrying.ts";

/**
 * The command of a slot, as it goes to a worker. The input was JSON from the moment it was asked for; names and ids have
 * nothing in them that JSON would escape.
 *
 * @param republished - It may have been published before.
 */
function commandText(
  run: RunExecution,
  slot: Slot,
  step: StepSlot,
  trace: Trace | undefined,
  republished = false,
): string {
  const { runId, workflow, started } = run;
  const text =
    `{"v":1,"type":"RunStep","run":"${runId}","workflow":"${workflow.name}","slot":${slot.slot}` +
    `,"step":"${step.definition.name}","attempt":${slot.attempt},"idempotencyKey":"${runId}/${slot.slot}"` +
    `,${policyText(step)},"scheduledAt":${slot.scheduledAt},"after":${slot.after}` +
    (step.compensation ? `,"compensation":true` : "") +
    (republished ? `,"republished":true` : "") +
    (trace ? `,"trace":${JSON.stringify(trace)}` : "") +
    (started?.baggage ? `,"baggage":${JSON.stringify(started.baggage)}` : "");
  return step.inputText === "" ? `${text}}` : `${text},"input":${step.inputText}}`;
}

/** What steps say for themselves is the same in each of their commands. */
const policies = new WeakMap<AnyStep, string>();

function policyText(step: StepSlot): string {
  const { definition, options } = step;
  const known = options ? undefined : policies.get(definition);
  if (known) return known;
  const { heartbeatMs } = definition;
  const text = JSON.stringify({ ...policiesOf(definition, options ?? {}), heartbeatMs }).slice(1, -1);
  if (!options) policies.set(definition, text);
  return text;
}

/** The command was handled already, and its outcome is in the inbox: what is in memory of the run is old. */
export class UnansweredError extends Error {}

/**
 * Publishes a slot's command. A second coordinator that does it too does no harm: while the command is outstanding by
 * the fence, for two minutes after by its message id.
 *
 * Where no answer comes it may be out, may have been handled, or may never have been stored. It may even have been run
 * already and forgotten: message ids are remembered for two minutes, and by a server that restarts only for messages it
 * still holds. So it is not sent again blindly, but as after a takeover: only if it is not outstanding, *then* its outcome is
 * not in the inbox. The run stays in memory meanwhile. What was surely not stored, as in an election, is just sent again.
 * The first one may still arrive between that look and the second one, and be handled. So a command that may have been
 * published before says so, and its worker looks for an outcome before it starts, where it would not after a first delivery.
 *
 * A command that was removed without an outcome, because it was stranded, has left its id behind, and so may a foreign
 * message have: then it is published under another id, the same for every coordinator that does it.
 *
 * @param takenOver - Another coordinator, or this one before it read the run again, may have published it.
 * @param stranded - The sequence of the slot's command that no worker will get: it is removed first.
 * @throws {UnansweredError} The command is gone, and its outcome is in the inbox.
 */
export function publishCommand(
  deps: Deps,
  run: RunExecution,
  slot: Slot,
  wanted: () => boolean,
  takenOver = false,
  stranded?: number,
): Promise<void> {
  const command = new Command(deps, run, slot, takenOver, stranded);
  const publish = () =>
    retrying(
      deps,
      "publish a command",
      () => command.publish(),
      () => wanted() && slot.state === "open",
      run.runId,
    );
  if (stranded !== undefined) return publish();
  // Nearly always one append is all there is to do. Whatever else it comes to is seen to by `publish`.
  return command.append().then(({ gone }) => (gone ? publish() : undefined), publish);
}

/** A slot's command on its way to the log. */
class Command {
  readonly #deps: Deps;
  readonly #run: RunExecution;
  readonly #slot: Slot;
  readonly #subject: string;
  readonly #stranded: number | undefined;
  /** The message id of the next append. */
  #id: string;
  #mayBeOut = false;
  #republished: boolean;
  /** The append whose outcome is still to be seen to. */
  #sent: Promise<Appended> | undefined;

  constructor(deps: Deps, run: RunExecution, slot: Slot, takenOver: boolean, stranded: number | undefined) {
    this.#deps = deps;
    this.#run = run;
    this.#slot = slot;
    this.#subject = deps.log.subjects.command(slot.step!.definition.name, run.runId, slot.slot);
    this.#stranded = stranded;
    this.#id = this.#first;
    this.#republished = takenOver;
  }

  append(): Promise<Appended> {
    const { log, telemetry } = this.#deps;
    const run = this.#run;
    const trace = telemetry.traceOf(run.started!, run.runId);
    const text = commandText(run, this.#slot, this.#slot.step!, trace, this.#republished);
    this.#sent = log.append(this.#subject, text, { expectLast: 0, id: this.#id, ifLost: "fail" });
    return this.#sent;
  }

  async publish(): Promise<void> {
    if (!this.#sent) {
      if (this.#stranded !== undefined) await this.#deps.log.remove(this.#subject, { upTo: this.#stranded });
      if (this.#mayBeOut && (await this.#isOut())) return;
      this.#id = this.#stranded === undefined ? this.#first : `${this.#first}.${this.#stranded}`;
    }
    for (;;) {
      const sent = this.#sent ?? this.append();
      this.#sent = undefined;
      try {
        const { gone, seq } = await sent;
        if (!gone) return;
        await this.#mustNotBeAnswered(this.#id);
        this.#id = `${this.#first}.${seq}`;
        this.#republished = true;
      } catch (error) {
        if (error instanceof LogUnavailableError && error.detail.outcome !== "not stored")
          this.#mayBeOut = this.#republished = true;
        if (!(error instanceof WrongLastSequenceError)) throw error;
        if (!(await this.#removeStale())) return;
      }
    }
  }

  get #first(): string {
    return `${this.#run.mark}.${this.#slot.slot}.${this.#slot.attempt}`;
  }

  async #isOut(): Promise<boolean> {
    const last = await this.#deps.log.last(this.#subject, { fresh: true });
    if (last && isCommandOf(this.#slot, last.text)) return true;
    await this.#mustNotBeAnswered(this.#first);
    return false;
  }

  async #mustNotBeAnswered(used: string): Promise<void> {
    if (await isAnswered(this.#deps, this.#run.runId, this.#slot))
      throw new UnansweredError(`the command ${used} was handled already`);
  }

  /** A run of the same id was deleted while the acknowledgement of one of its commands was lost. */
  async #removeStale(): Promise<boolean> {
    const { log } = this.#deps;
    const last = await log.last(this.#subject, { fresh: true });
    if (!last || isCommandOf(this.#slot, last.text)) return false;
    await log.remove(this.#subject, { upTo: last.seq });
    return true;
  }
}

function isCommandOf(slot: Slot, text: string): boolean {
  return read(text)?.after === slot.after;
}

/** @returns undefined if it cannot be read: no worker runs it. */
function read(text: string): { after?: unknown } | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Removes the command at this subject, if it is one of the run that is meant: another may have the id by now.
 *
 * @param own - Is it of that run? Not asked of one that cannot be read.
 */
export async function removeCommand(
  log: EventLog,
  subject: string,
  own: (command: { after?: unknown }) => boolean,
): Promise<void> {
  const last = await log.last(subject, { fresh: true });
  if (!last) return;
  const command = read(last.text);
  if (!command || own(command)) await log.remove(subject, { upTo: last.seq });
}

export function timeoutOf({ definition, options }: StepSlot) {
  return options?.timeout ? policiesOf(definition, options).timeout : definition.timeout;
}

/** Is the outcome of the slot's attempt in the run's inbox? */
async function isAnswered({ log }: Deps, run: string, slot: Slot): Promise<boolean> {
  const inbox = await log.read(log.subjects.inbox(run), { fromSeq: slot.after + 1, fresh: true });
  return inbox.some((stored) => answers(stored, slot));
}

/** Does an inbox message say what became of the slot's command? */
export function answers({ subject, text }: Pick<Stored, "subject" | "text">, slot: Slot): boolean {
  try {
    const message = decodeInbox(subject, text);
    if (!("slot" in message) || message.slot !== slot.slot) return false;
    // These say nothing of what became of it.
    if (message.type === "TimerFired" || message.type === "StepStartedTwice") return false;
    if ("after" in message && message.after !== undefined && message.after !== slot.after) return false;
    return message.type !== "RetryLater" || message.attempt > slot.attempt;
  } catch {
    return false; // It is in the dead letters.
  }
}
