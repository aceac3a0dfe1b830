import {
  type Duration,
  durationMs,
  fromFailure,
  type InboxMessage,
  InvalidOutputError,
  type Progress,
  pathOf,
  RunClosedError,
  RunNotFoundError,
  type TerminalEvent,
  WorkflowCancelledError,
} from "@stepstream/contracts";
import type { Clock, EventLog, Stored } from "@stepstream/event-log";
import { type HistoryEntry, readHistory } from "./run-history.ts";
import { followProgress } from "./run-progress.ts";
import { decodeDecision, endOf, type RunStatus, readStatus, stateOf } from "./run-status.ts";
import { newId, untilAnswered } from "./start-run.ts";
import { watchJournal } from "./watch-journal.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** What the handles of one client share. */
export interface HandleContext {
  log: EventLog;
  clock: Clock;
  /** Aborted when the client is closed: nobody waits any longer. */
  closed: AbortSignal;
}

/** A run, from outside. Any number of processes may hold one for the same run. */
export class RunHandle<O = unknown> {
  readonly id: string;
  readonly #context: HandleContext;
  readonly #workflow: AnyWorkflow | undefined;
  #known: boolean;

  constructor(context: HandleContext, id: string, workflow?: AnyWorkflow, known = false) {
    this.id = id;
    this.#context = context;
    this.#workflow = workflow;
    this.#known = known;
  }

  /**
   * Waits for the end, however long that takes; also while the run is parked, or the bus is away.
   *
   * @param options.signal - Gives up the wait, not the run, e.g. `AbortSignal.timeout(60_000)`.
   * @throws What the run failed with: a StepError, ValidationError, WorkflowFailedError …
   * @throws {WorkflowCancelledError} It was cancelled.
   * @throws {RunNotFoundError} There is no such run.
   */
  async result(options: { signal?: AbortSignal } = {}): Promise<O> {
    const { log } = this.#context;
    const journal = log.subjects.journal(this.id);
    let end: TerminalEvent | undefined;
    await this.#watch(
      async () => {
        const last = await log.last(journal);
        if (!last) await this.#mustExist();
        return last ? [last] : [];
      },
      (stored) => {
        end ??= endOf(stored);
        return end !== undefined;
      },
      options.signal,
    );
    return this.#open(end!);
  }

  /** @throws {RunNotFoundError} There is no such run. */
  status(): Promise<RunStatus> {
    return readStatus(this.#context.log, this.id);
  }

  /**
   * How far the run is: the last it said, then live; ends when the run ends, well or badly.
   * @throws {RunNotFoundError} There is no such run.
   */
  async *progress(): AsyncGenerator<Progress, void, void> {
    await this.#mustExist();
    yield* followProgress({ ...this.#context, run: this.id, signal: this.#context.closed });
  }

  /**
   * Everything that is stored about the run, in the order of the stream. What cannot be read is there too.
   * @throws {RunNotFoundError} There is no such run.
   */
  async history(): Promise<HistoryEntry[]> {
    const history = await readHistory(this.#context.log, this.id);
    if (history.length === 0) throw new RunNotFoundError(this.id, this.#context.log.subjects.namespace);
    return history;
  }

  /**
   * Asks the run to stop, and waits until it has taken note (not until it has stopped: see `result()`).
   *
   * @param options.reason - For people; in the history and in the WorkflowCancelledError.
   * @param options.grace - How long workers have to clean up. Default: the coordinator's, "10s".
   * @param options.signal - Gives up waiting for the answer; the request stands.
   * @throws {RunClosedError} The run was over, or ended, before the request took effect.
   * @throws {RunNotFoundError} There is no such run; nothing was sent.
   */
  async cancel(options: { reason?: string; grace?: Duration; signal?: AbortSignal } = {}): Promise<void> {
    const { log, clock } = this.#context;
    const { reason = "cancelled by a client", grace, signal } = options;
    const journal = log.subjects.journal(this.id);
    await this.#mustExist();
    const before = await untilAnswered(clock, `look at run ${this.id}`, () => log.last(journal));
    const over = before && endOf(before);
    if (over) throw new RunClosedError(this.id, stateOf(over));

    const id = newId(clock);
    const request: Extract<InboxMessage, { type: "CancelRequested" }> = {
      v: 1,
      type: "CancelRequested",
      id,
      reason,
      ...(grace === undefined ? {} : { graceMs: durationMs(grace) }),
    };
    const { seq } = await untilAnswered(clock, `cancel run ${this.id}`, () =>
      log.append(log.subjects.inbox(this.id), JSON.stringify(request), { id }),
    );

    let accepted = false;
    let end: TerminalEvent | undefined;
    const stored = () => log.read(journal, { fromSeq: seq });
    const see = (message: Stored) => {
      accepted ||= accepts(message, id);
      end ??= endOf(message);
      return accepted || end !== undefined;
    };
    await this.#watch(stored, see, signal);
    if (accepted) return;
    // The end came live, and what told of the acceptance may have been lost. What is stored counts.
    if (!(await untilAnswered(clock, `look at run ${this.id}`, stored)).some((message) => accepts(message, id)))
      throw new RunClosedError(this.id, stateOf(end!));
  }

  #watch(reread: () => Promise<readonly Stored[]>, see: (stored: Stored) => boolean, signal?: AbortSignal) {
    const { closed, ...source } = this.#context;
    const either = signal ? AbortSignal.any([closed, signal]) : closed;
    return watchJournal({ ...source, run: this.id, reread, see, signal: either });
  }

  async #mustExist(): Promise<void> {
    if (this.#known) return;
    const { log, clock } = this.#context;
    const inbox = log.subjects.inbox(this.id);
    const last = await untilAnswered(clock, `look at run ${this.id}`, () => log.last(inbox, { fresh: true }));
    if (!last) throw new RunNotFoundError(this.id, log.subjects.namespace);
    this.#known = true;
  }

  #open(end: TerminalEvent): O {
    if (end.type === "RunCancelled") throw new WorkflowCancelledError(this.id, end.reason);
    if (end.type === "RunFailed") throw fromFailure(end.error);
    if (!this.#workflow) return end.output as O;
    const read = this.#workflow.output.safeParse(end.output);
    if (read.success) return read.data as O;
    const issue = read.error.issues[0]!;
    const what = `workflow "${this.#workflow.name}"`;
    throw new InvalidOutputError(what, pathOf(issue.path), issue.message, { run: this.id });
  }
}

function accepts(stored: Stored, id: string): boolean {
  return (
    stored.text.includes(id) &&
    decodeDecision(stored).events.some((event) => event.type === "CancelAccepted" && event.id === id)
  );
}
