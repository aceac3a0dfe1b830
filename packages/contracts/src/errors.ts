import type { Failure } from "./failure.ts";
import { MAX_MESSAGE_BYTES } from "./limits.ts";

/**
 * Everything that Stepstream throws on purpose. Callers branch on `code` or `retry`, never on the
 * message. Each code is explained in docs/errors.md.
 */
export abstract class StepstreamError extends Error {
  /** Stable and unique. */
  abstract readonly code: string;
  /** What helps: read again and decide again, try the same again later, or nothing. */
  abstract readonly retry: "reload" | "later" | "never";
  /** Ids and numbers only: always safe to log. */
  readonly detail: Readonly<Record<string, string | number>>;

  constructor(message: string, detail: Record<string, string | number | undefined> = {}, options?: ErrorOptions) {
    super(message, options);
    this.detail = Object.fromEntries(Object.entries(detail).filter(([, value]) => value !== undefined)) as Record<
      string,
      string | number
    >;
    this.name = new.target.name;
  }
}

// ---------------------------------------------------------------- a step, a run

/** Where in a run something happened. */
export interface Where {
  run: string;
  step: string;
  slot: number;
  attempt: number;
}

/** A step failed for good. `cause` is what its last attempt threw; `input` what it was given. */
export class StepError extends StepstreamError {
  readonly code = "STEP_FAILED";
  readonly retry = "never";
  readonly run: string;
  readonly step: string;
  readonly slot: number;
  readonly attempt: number;
  readonly input: unknown;

  constructor(where: Where, input: unknown, cause: Error) {
    super(
      `Step "${where.step}" of run ${where.run} (slot ${where.slot}) failed for good in attempt ${where.attempt}: ${cause.message}`,
      { ...where },
      { cause },
    );
    this.run = where.run;
    this.step = where.step;
    this.slot = where.slot;
    this.attempt = where.attempt;
    this.input = input;
  }
}

/** What a time-out was about. */
export type TimeoutKind = "attempt" | "total" | "queue" | "heartbeat" | "run" | "scope" | "signal";

/** Something took too long. `kind` says which of its clocks ran out. */
export class TimeoutError extends StepstreamError {
  readonly code = "TIMEOUT";
  readonly retry = "later";
  readonly kind: TimeoutKind;

  constructor(kind: TimeoutKind, ms: number, where: Partial<Where> = {}) {
    const what = {
      attempt: `The attempt took longer than ${ms} ms`,
      total: `The step took longer than ${ms} ms, all attempts and waits together`,
      queue: `No worker picked the step up within ${ms} ms (is one running that handles it?)`,
      heartbeat: `The attempt sent no heartbeat for ${ms} ms`,
      run: `The run had not ended ${ms} ms after its start`,
      scope: `The scope had not ended after ${ms} ms`,
      signal: `The signal was not received within ${ms} ms`,
    }[kind];
    super(`${what}${place(where)}.`, { kind, ms, ...where });
    this.kind = kind;
  }
}

/** A step failed with one of the errors its definition declares. Final: never retried. */
export class DeclaredError extends StepstreamError {
  readonly retry = "never";
  readonly code: string;
  readonly data: unknown;

  constructor(code: string, data: unknown, message = `The step ended with its declared error ${code}.`) {
    super(message, { code });
    this.code = code;
    this.data = data;
  }
}

/** A check did not pass: a gate's command ended with something other than 0. */
export class ValidationError extends StepstreamError {
  readonly code = "VALIDATION_FAILED";
  readonly retry = "never";
  readonly gate: string;
  readonly level: number;
  readonly command: string;
  /** undefined if the command was ended by a signal or its time-out. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(fault: {
    gate: string;
    level: number;
    command: string;
    exitCode?: number | undefined;
    stdout: string;
    stderr: string;
    why?: string | undefined;
  }) {
    const why = fault.why ?? `exit code ${fault.exitCode ?? "unknown"}`;
    super(`Gate "${fault.gate}" (level ${fault.level}) did not pass: \`${fault.command}\`, ${why}.`, {
      gate: fault.gate,
      level: fault.level,
      exitCode: fault.exitCode,
    });
    this.gate = fault.gate;
    this.level = fault.level;
    this.command = fault.command;
    this.exitCode = fault.exitCode;
    this.stdout = fault.stdout;
    this.stderr = fault.stderr;
  }
}

/** The run was cancelled. Thrown by what a workflow waits for, and by `run.result()`. */
export class WorkflowCancelledError extends StepstreamError {
  readonly code = "WORKFLOW_CANCELLED";
  readonly retry = "never";
  readonly run: string;
  readonly reason: string;

  constructor(run: string, reason: string) {
    super(`Run ${run} was cancelled: ${reason}`, { run });
    this.run = run;
    this.reason = reason;
  }
}

/** The run was terminated: stopped without clean-up. Thrown by `run.result()`. */
export class WorkflowTerminatedError extends StepstreamError {
  readonly code = "WORKFLOW_TERMINATED";
  readonly retry = "never";
  readonly run: string;
  readonly reason: string;

  constructor(run: string, reason: string) {
    super(`Run ${run} was terminated: ${reason}`, { run });
    this.run = run;
    this.reason = reason;
  }
}

/** A child run did not complete. `cause` is what it failed with, or a WorkflowCancelledError, WorkflowTerminatedError. */
export class ChildError extends StepstreamError {
  readonly code = "CHILD_FAILED";
  readonly retry = "never";
  readonly run: string;
  readonly child: string;
  readonly workflow: string;

  constructor(where: { run: string; slot: number; child: string; workflow: string }, cause: Error) {
    super(
      `Child ${where.child} (workflow "${where.workflow}") of run ${where.run} (slot ${where.slot}) did not complete: ${cause.message}`,
      where,
      { cause },
    );
    this.run = where.run;
    this.child = where.child;
    this.workflow = where.workflow;
  }
}

/** A worker's slot was cancelled while it ran: the reason of `ctx.signal`. */
export class StepCancelledError extends StepstreamError {
  readonly code = "STEP_CANCELLED";
  readonly retry = "never";

  constructor(where: Partial<Where>, reason: string) {
    super(`The step was cancelled: ${reason}${place(where)}.`, { ...where });
  }
}

/** The workflow threw something that is no step's failure: a bug, or a decision of its own. */
export class WorkflowFailedError extends StepstreamError {
  readonly code = "WORKFLOW_FAILED";
  readonly retry = "never";
  readonly run: string;

  constructor(run: string, cause: Error) {
    super(`Run ${run} failed: ${cause.message}`, { run }, { cause });
    this.run = run;
  }
}

/** A promise of the workflow was rejected, and no code had awaited it when the workflow function ended. */
export class UnhandledRejectionError extends StepstreamError {
  readonly code = "UNHANDLED_REJECTION";
  readonly retry = "never";
  readonly run: string;

  /** @param cause - The first such rejection. @param count - How many there were. */
  constructor(run: string, cause: Error, count: number) {
    const which = count === 1 ? "A rejection was" : `${count} rejections were`;
    super(
      `Run ${run} failed: ${which} unhandled when its workflow function ended: ${cause.message}. ` +
        "Await every promise that `w` returns, or catch its error.",
      { run, count },
      { cause },
    );
    this.run = run;
  }
}

/** A branch of a race that lost may still wait for a signal, and cannot be cancelled: `w` did not start it. */
export class UntrackedBranchError extends StepstreamError {
  readonly code = "UNTRACKED_BRANCH";
  readonly retry = "never";
  readonly run: string;

  constructor(run: string, group: string, signals: readonly string[]) {
    super(
      `${group} of run ${run} has a branch that it cannot cancel: a promise of an async function, which may hold the wait ` +
        `for signal ${signals.map((name) => `"${name}"`).join(", ")}. If that branch loses, its wait would take a signal ` +
        `that no code reads. Let ${group} start its branches: ${group}({ first: () => …, second: () => … }).`,
      { run },
    );
    this.run = run;
  }
}

/** An attempt ended its process again and again, while it was the only one there. */
export class WorkerLostError extends StepstreamError {
  readonly code = "WORKER_LOST";
  readonly retry = "never";

  /** @param starts - How often it was started alone, and its process ended. */
  constructor(where: Where, starts: number) {
    super(
      `Step "${where.step}" ended its process ${starts} times, each time as the only attempt in it${place(where)}: out of ` +
        "memory, process.exit(), or a native crash. The step has no result and is not tried again; its command is kept as a " +
        'dead letter. Repair the handler, then run "stepstream dead retry".',
      { ...where, starts },
    );
  }
}

/** A slot did not answer its cancellation within the grace period; a late result changes nothing. */
export class SlotAbandonedError extends StepstreamError {
  readonly code = "SLOT_ABANDONED";
  readonly retry = "never";

  constructor(where: Partial<Where>) {
    super(`The cancelled step did not end within its grace period and was left behind${place(where)}.`, { ...where });
  }
}

/** The step's circuit breaker is open: nothing was tried. */
export class CircuitOpenError extends StepstreamError {
  readonly code = "CIRCUIT_OPEN";
  readonly retry = "later";

  constructor(breaker: string, step: string) {
    super(`The circuit breaker "${breaker}" is open: step "${step}" was not tried and no attempt was used.`, {
      breaker,
      step,
    });
  }
}

// ---------------------------------------------------------------- determinism

/** Workflow code did something else than its history says. Nothing was written; the run is parked. */
export class NonDeterminismError extends StepstreamError {
  readonly code = "NON_DETERMINISM";
  readonly retry = "never";
  readonly run: string;
  /** What the history has at this place; undefined where it ends. */
  readonly recorded: unknown;
  /** What the code asks for now; undefined where it asks for nothing more. */
  readonly replayed: unknown;

  constructor(run: string, at: number, recorded: unknown, replayed: unknown) {
    const show = (side: unknown) => (side === undefined ? "nothing" : JSON.stringify(side));
    super(
      `The workflow code no longer fits the history of run ${run}, at its decision ${at}.\n` +
        `  recorded: ${show(recorded)}\n  replayed: ${show(replayed)}\n` +
        "Nothing was written and the run is parked. Deploy the code it was started with, or give the changed workflow a new version.",
      { run, at },
    );
    this.run = run;
    this.recorded = recorded;
    this.replayed = replayed;
  }
}

/** Workflow code called something whose answer is not in the history. */
export class ForbiddenInWorkflowError extends StepstreamError {
  readonly code = "FORBIDDEN_IN_WORKFLOW";
  readonly retry = "never";

  constructor(what: string, instead: string) {
    super(`${what} is not deterministic and cannot be used in a workflow. Use ${instead} instead.`, { what });
  }
}

/** A query handler asked `w` for something that would change the run. */
export class ForbiddenInQueryError extends StepstreamError {
  readonly code = "FORBIDDEN_IN_QUERY";
  readonly retry = "never";

  constructor(what: string, run: string) {
    super(`${what} would change run ${run}, and a query may not. Use an update for that.`, { what, run });
  }
}

/** Workflow code waits for something that the run cannot give it, or never gives the event loop back. */
export class StalledError extends StepstreamError {
  readonly code = "STALLED";
  readonly retry = "never";

  /** @param advice - What to do about it. */
  constructor(
    run: string,
    why: string,
    advice = "Workflow code may only await what `w` gives it; do all other waiting in a step.",
  ) {
    super(`Run ${run} is stalled: ${why} ${advice}`, { run });
  }
}

/** Where a promise does not hold, as far as it is known. */
export interface Whereabouts {
  readonly run: string;
  readonly step?: string | undefined;
  readonly slot?: number | undefined;
  readonly attempt?: number | undefined;
}

/**
 * A promise of the engine does not hold: a bug of Stepstream. Of the run, nothing more is decided or written; of a step,
 * where a worker finds it, no further attempt is made.
 */
export class InvariantError extends StepstreamError {
  readonly code = "INVARIANT_VIOLATED";
  readonly retry = "never";

  /** @param promise - As the file header numbers it, e.g. "slot R1". */
  constructor(promise: string, what: string, { run, step, slot, attempt }: Whereabouts) {
    const place = Object.entries({ run, step, slot, attempt }).filter(([, value]) => value !== undefined);
    const where = place.map((part) => part.join(" ")).join(", ");
    const report = "This is a bug of Stepstream: export the history and report it.";
    const advice = step === undefined ? `Nothing more was decided. ${report} The run can be terminated.` : report;
    super(`Promise "${promise}" does not hold for ${where}: ${what}. ${advice}`, { promise, run, step, slot, attempt });
  }
}

// ---------------------------------------------------------------- asking for the wrong thing

export class RunNotFoundError extends StepstreamError {
  readonly code = "RUN_NOT_FOUND";
  readonly retry = "never";
  /** @param wasThere - It was stored before. */
  constructor(run: string, namespace: string, wasThere = false) {
    const before = wasThere ? " any more: it was deleted, or its stream was lost" : "";
    super(`There is no run ${run} in namespace "${namespace}"${before}.`, { run, namespace });
  }
}

export class RunAlreadyExistsError extends StepstreamError {
  readonly code = "RUN_ALREADY_EXISTS";
  readonly retry = "never";
  constructor(run: string) {
    super(
      `Run ${run} exists already; nothing was started. Choose another id, or pass onConflict: "attach" to follow that run.`,
      { run },
    );
  }
}

/** Only a run that is over can be deleted. */
export class RunStillGoingError extends StepstreamError {
  readonly code = "RUN_STILL_GOING";
  readonly retry = "later";
  constructor(run: string) {
    super(`Run ${run} is not over; nothing was deleted. Cancel or terminate it first, and wait for its end.`, { run });
  }
}

/** Only a run that failed, was cancelled or was terminated can be started again. */
export class RunNotRetriedError extends StepstreamError {
  readonly code = "RUN_NOT_RETRIED";
  readonly retry = "never";
  constructor(run: string, why: string) {
    super(`Run ${run} cannot be retried: ${why}. Nothing was started.`, { run });
  }
}

/** The run is parked: what it was sent is stored, and has no effect until a coordinator can handle the run. */
export class RunParkedError extends StepstreamError {
  readonly code = "RUN_PARKED";
  readonly retry = "later";
  readonly run: string;

  /** @param why - What it is parked for. */
  constructor(run: string, why: string) {
    super(
      `Run ${run} is parked: ${why}\nThe request is stored; it takes effect once a coordinator can handle the run. ` +
        "Do not send it again. To end the run now, terminate it.",
      { run },
    );
    this.run = run;
  }
}

/** The run had closed before the message could take effect. */
export class RunClosedError extends StepstreamError {
  readonly code = "RUN_CLOSED";
  readonly retry = "never";
  constructor(run: string, outcome: string) {
    super(`Run ${run} is over (${outcome}); the message changed nothing.`, { run, outcome });
  }
}

/** A run did not take a signal: its workflow does not know it, or its payload does not fit. */
export class SignalRefusedError extends StepstreamError {
  readonly code = "SIGNAL_REFUSED";
  readonly retry = "never";
  constructor(run: string, signal: string, why: string, options?: ErrorOptions) {
    super(`Run ${run} refused the signal "${signal}": ${why}`, { run, signal }, options);
  }
}

/** A run turned an update down, and nothing was changed. `cause` is what its validator threw. */
export class UpdateRefusedError extends StepstreamError {
  readonly code = "UPDATE_REFUSED";
  readonly retry = "never";
  constructor(run: string, update: string, why: string, options?: ErrorOptions) {
    super(`Run ${run} refused the update "${update}": ${why}`, { run, update }, options);
  }
}

/** A query failed: its workflow does not know it, or its handler threw. `cause` is what it threw. */
export class QueryFailedError extends StepstreamError {
  readonly code = "QUERY_FAILED";
  readonly retry = "never";
  constructor(run: string, query: string, why: string, options?: ErrorOptions) {
    super(`The query "${query}" of run ${run} failed: ${why}`, { run, query }, options);
  }
}

/** Nobody answered a query: is a coordinator running that knows the workflow? */
export class QueryUnansweredError extends StepstreamError {
  readonly code = "QUERY_UNANSWERED";
  readonly retry = "later";
  constructor(run: string, query: string, ms: number) {
    super(
      `Nobody answered the query "${query}" of run ${run} within ${ms} ms; is a coordinator up that runs its workflow? Nothing was changed; asking again is safe.`,
      { run, query, ms },
    );
  }
}

/** A call had no answer in its time. What it asked for may still happen: the message says what is known. */
export class CallTimeoutError extends StepstreamError {
  readonly code = "CALL_TIMEOUT";
  readonly retry = "later";
  constructor(what: string, ms: number, known: string) {
    super(`No answer to ${what} within ${ms} ms. ${known}`, { ms });
  }
}

export class UnknownWorkflowError extends StepstreamError {
  readonly code = "UNKNOWN_WORKFLOW";
  readonly retry = "later";
  constructor(run: string, workflow: string, version: number) {
    super(
      `This coordinator does not know workflow "${workflow}" version ${version}. Run ${run} waits, parked, for one that does.`,
      { run, workflow, version },
    );
  }
}

/** A value does not fit the schema it was sent under. */
export class InvalidInputError extends StepstreamError {
  readonly code = "INVALID_INPUT";
  readonly retry = "never";
  readonly path: string;
  constructor(what: string, path: string, why: string, where: Partial<Where> = {}) {
    super(`The input of ${what} is not valid${path ? ` at ${path}` : ""}: ${why}${place(where)}.`, { path, ...where });
    this.path = path;
  }
}

/** A handler returned something that does not fit its step's output schema. */
export class InvalidOutputError extends StepstreamError {
  readonly code = "INVALID_OUTPUT";
  readonly retry = "never";
  readonly path: string;
  constructor(what: string, path: string, why: string, where: Partial<Where> = {}) {
    super(`The output of ${what} is not valid${path ? ` at ${path}` : ""}: ${why}${place(where)}.`, { path, ...where });
    this.path = path;
  }
}

// ---------------------------------------------------------------- the bus

/** A message that cannot be read. It goes to the dead letters and blocks nothing. */
export class MalformedMessageError extends StepstreamError {
  readonly code = "MALFORMED_MESSAGE";
  readonly retry = "never";
  /** Where in the message the fault is; empty for the whole of it. */
  readonly path: string;
  /** The message's version, if that is a number that this release does not know. */
  readonly version: number | undefined;
  constructor(where: string, path: string, why: string, version?: number) {
    super(`The message ${where} cannot be read${path ? ` at ${path}` : ""}: ${why}.`, { where, path });
    this.path = path;
    this.version = version;
  }
}

/** Somebody else has written to the subject; nothing was written. Read it again and decide again. */
export class WrongLastSequenceError extends StepstreamError {
  readonly code = "WRONG_LAST_SEQUENCE";
  readonly retry = "reload";
  constructor(subject: string, expected: number) {
    super(`${subject} has moved past sequence ${expected}; nothing was written. Read it again and decide again.`, {
      subject,
      expected,
    });
  }
}

/** What is known of a write whose answer is an error, or did not come. A read is "not stored". */
export type WriteOutcome = "not stored" | "unknown";

/** No answer from the log, or that it is unavailable for now. `detail.outcome` says whether a message may be stored. */
export class LogUnavailableError extends StepstreamError {
  readonly code = "LOG_UNAVAILABLE";
  readonly retry = "later";
  /** @param options.outcome - Default "unknown". "not stored" also where nothing was to be stored, as by a read. */
  constructor(what: string, why: string, options: ErrorOptions & { outcome?: WriteOutcome } = {}) {
    const { outcome = "unknown", ...rest } = options;
    const known = outcome === "unknown" ? "Whether it took effect is unknown" : "It took no effect";
    super(
      `No answer from the event log to ${what}: ${why}${/[.?!]$/.test(why) ? "" : "."} ${known}; doing it again is safe.`,
      { outcome },
      rest,
    );
  }
}

const REFUSED = {
  write: "Nothing was written.",
  read: "Nothing was read.",
  removal: "This message was not removed.",
  setup: "Nothing was changed.",
  hint: "Nothing was sent.",
  ack: "The message will be redelivered.",
  pull: "No message is received until it is permitted.",
  listen: "No message is received there until it is permitted.",
} as const;
export type RefusedKind = keyof typeof REFUSED;

/** The log refused: full, too large, not permitted. Nothing was written, or read. */
export class LogRefusedError extends StepstreamError {
  readonly code: "LOG_REFUSED" | "PERMISSION_DENIED" = "LOG_REFUSED";
  readonly retry = "later";
  /**
   * @param serverCode - Of nats-server; 0 if it gave none.
   * @param kind - What was refused.
   */
  constructor(what: string, serverCode: number, why: string, kind: RefusedKind = "write", detail: object = {}) {
    const code = serverCode > 0 ? ` (server error ${serverCode})` : "";
    super(`The event log refused ${what}: ${why}${code}. ${REFUSED[kind]}`, { serverCode, ...detail });
  }
}

/** nats-server does not permit this user to do it. It is tried again until an administrator permits it. */
export class PermissionDeniedError extends LogRefusedError {
  override readonly code = "PERMISSION_DENIED";
  readonly operation: "publish" | "subscribe";
  /** What was denied. */
  readonly subject: string;
  /** The permission needed: a subject, in which wildcards may stand. */
  readonly needed: string;

  constructor(
    what: string,
    denied: { operation: "publish" | "subscribe"; subject: string; needed: string },
    kind: RefusedKind = "write",
  ) {
    const { operation, subject, needed } = denied;
    const why = `permission denied to ${operation} to "${subject}". Allow this user to ${operation} to "${needed}"`;
    super(what, 0, why, kind, { operation, subject, needed });
    this.operation = operation;
    this.subject = subject;
    this.needed = needed;
  }
}

/** A message is longer than the bus takes. Nothing was written, and trying again does not help. */
export class MessageTooLargeError extends StepstreamError {
  readonly code = "MESSAGE_TOO_LARGE";
  readonly retry = "never";
  /**
   * @param bytes - undefined if it is longer than any text can be.
   * @param advice - What to do, if it is not one value that is too large.
   */
  constructor(
    what: string,
    bytes: number | undefined,
    max = MAX_MESSAGE_BYTES,
    advice = "Keep large data elsewhere, e.g. in an object store, and pass a reference to it.",
  ) {
    super(
      `Refused ${what}: it has ${bytes ?? "more than 500 million"} bytes, and the limit is ${max}. Nothing was written. ${advice}`,
      { bytes },
    );
  }
}

export class PartitionMismatchError extends StepstreamError {
  readonly code = "PARTITION_MISMATCH";
  readonly retry = "never";
  constructor(namespace: string, stored: number, asked: number) {
    super(
      `Namespace "${namespace}" has ${stored} partitions, but ${asked} were asked for. The number is fixed when a namespace is made: drop the setting, or use another namespace.`,
      { namespace, stored, asked },
    );
  }
}

/** The namespace exists, with other settings than those asked for. They were not changed. */
export class NamespaceExistsError extends StepstreamError {
  readonly code = "NAMESPACE_EXISTS";
  readonly retry = "never";
  constructor(namespace: string, differs: string) {
    super(
      `Namespace "${namespace}" exists with other settings: ${differs}. Nothing was changed; use "stepstream namespace update".`,
      { namespace },
    );
  }
}

/** There is no such namespace, and whoever asks is not to make one. */
export class NamespaceNotFoundError extends StepstreamError {
  readonly code = "NAMESPACE_NOT_FOUND";
  readonly retry = "never";
  constructor(namespace: string) {
    super(
      `There is no namespace "${namespace}" on this server: the first coordinator, worker or client that connects to it makes it.`,
      { namespace },
    );
  }
}

export class ServerTooOldError extends StepstreamError {
  readonly code = "SERVER_TOO_OLD";
  readonly retry = "never";
  constructor(version: string, needed: string) {
    super(`nats-server ${version} is too old: Stepstream needs ${needed} or newer (message schedules).`, {
      version,
      needed,
    });
  }
}

/** Used before `start()` or after `stop()`. */
export class NotRunningError extends StepstreamError {
  readonly code = "NOT_RUNNING";
  readonly retry = "never";
  constructor(what: string, state: string) {
    super(`${what} is ${state}.`, {});
  }
}

// ---------------------------------------------------------------- across the bus

/** An error from another process whose class is not known here. Keeps name, code, stack, data, cause. */
export class RemoteError extends Error {
  readonly code: string;
  readonly data: Readonly<Record<string, unknown>>;
  constructor(failure: Failure) {
    super(failure.message);
    this.name = failure.name;
    this.code = failure.code;
    this.data = failure.data ?? {};
  }
}

function place(where: Partial<Where>): string {
  if (!where.run) return "";
  const parts = [`run ${where.run}`];
  if (where.slot) parts.push(`slot ${where.slot}`);
  if (where.step) parts.push(`step "${where.step}"`);
  if (where.attempt) parts.push(`attempt ${where.attempt}`);
  return ` (${parts.join(", ")})`;
}
