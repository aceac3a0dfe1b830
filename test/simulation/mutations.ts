// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is source code.
/**
 * The rules of the protocol, and what the code looks like without each; and faults that change results only. The
 * simulation must notice each of them: else it is blind. A patch that does not apply any more is an error, so the table
 * cannot go stale.
 */
export interface Mutation {
  /** A name for the command line. */
  readonly rule: string;
  /**
   * The first world to try: it noticed when this was written. Whatever changes what is drawn moves it to a later one; the
   * one that notices is printed: set it to that.
   */
  readonly seed: number;
  /** What holds without the mutation. */
  readonly why: string;
  readonly patches: readonly { file: string; from: string; to: string }[];
}

const SHELL = "services/coordinator/src/shell";
const RUN = "services/coordinator/src/run";

export const mutations: readonly Mutation[] = [
  {
    rule: "journal-before-commands",
    seed: 1,
    why: "What is decided is journalled before anything of it is done.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "const span = this.#writing(decided);",
        to: "await this.#carryOut([], folded); const span = this.#writing(decided);",
      },
    ],
  },
  {
    rule: "delivery-epochs",
    seed: 18,
    why: "A run in memory is folded on without reading only within one delivery epoch.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "return delivery.deliveries === 1 && epoch === this.#epoch && delivery.seq > folded;",
        to: "return delivery.seq > folded;",
      },
    ],
  },
  {
    rule: "complete-reads",
    seed: 3,
    why: "A read counts only if it holds the message in hand and all that the journal has consumed.",
    patches: [
      {
        file: `${SHELL}/history.ts`,
        from: "const complete = (stored.at(-1)?.seq ?? inboxAfter) >= Math.max(holds, upTo);",
        to: "const complete = true;",
      },
      {
        file: `${SHELL}/history.ts`,
        from: "if ((stored.at(-1)?.seq ?? 0) >= holds || attempt === TRIES - 1) return readable(stored);",
        to: "return readable(stored);",
      },
    ],
  },
  {
    rule: "forgotten-deliveries",
    seed: 1526,
    why: "A first delivery soon after a connection may be a second one, if the command was stored before.",
    patches: [
      {
        file: "services/step-worker/src/shell/look-up.ts",
        from: "return delivery.at <= since &&",
        to: "return false &&",
      },
    ],
  },
  {
    rule: "outstanding-then-inbox",
    seed: 206,
    why: "On a takeover the commands that are out are listed first, then the inbox is read.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "const { out, stranded } = await this.#outstanding();\n    const history = await readHistory(this.#deps, this.run, holds, fresh);",
        to: "const history = await readHistory(this.#deps, this.run, holds, fresh);\n    const { out, stranded } = await this.#outstanding();",
      },
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (inbox.some((stored) => answers(stored, slot))) answered.add(n);",
        to: "if (inbox.length < 0) answered.add(n);",
      },
      // Else the worker finds the outcome.
      {
        file: `${SHELL}/commands.ts`,
        from: "this.#republished = takenOver;",
        to: "this.#republished = false;",
      },
    ],
  },
  {
    rule: "settle-before-compensation",
    seed: 3,
    why: "Compensations start only when every slot has settled.",
    patches: [
      {
        file: "services/coordinator/src/run/closing.ts",
        from: "if (run.openSlots > 0 || this.#life.shields > 0 || this.#waiting || run.fault) return false;",
        to: "if (this.#life.shields > 0 || this.#waiting || run.fault) return false;",
      },
    ],
  },
  {
    rule: "single-acks",
    seed: 3,
    why: "A message is acknowledged singly: the ack of one run must not acknowledge another's.",
    patches: [
      {
        file: `${SHELL}/partition.ts`,
        from: "delivery.ack();\n    this.#consumption?.pull();",
        to: "for (const other of this.#unacked.keys()) if (other.seq <= delivery.seq) other.ack();\n    delivery.ack();\n    this.#consumption?.pull();",
      },
    ],
  },
  {
    rule: "removed-by-sequence",
    seed: 104,
    why: "A message is removed by its sequence: a purge of its subject strands others of the consumer that reads it. (What finds stranded commands is taken out as well.)",
    patches: [
      {
        file: "packages/event-log/src/memory/log.ts",
        from: "const all = await this.#ask(`read ${subject}`, () => this.server.read(subject, 1, 0));",
        to: "if (keep === 0) return this.#ask(`purge ${subject}`, () => this.server.purge(subject, 0, upTo)); const all: Stored[] = [];",
      },
      {
        file: `${SHELL}/stranded.ts`,
        from: "if (ackFloor === 0) return NONE;",
        to: "if (ackFloor >= 0) return NONE;",
      },
    ],
  },
  {
    rule: "auditor",
    seed: 14,
    why: "What runs wait for is compared with what is stored, again and again; what has gone missing is stored again.",
    patches: [
      {
        file: `${SHELL}/partition.ts`,
        from: "() => this.#auditor.look()",
        to: "async () => 5_000",
      },
    ],
  },
  {
    rule: "ack-when-durable",
    seed: 2,
    why: "A message is acknowledged when all that it caused is durable, and not before.",
    patches: [
      {
        file: `${SHELL}/partition.ts`,
        from: "this.#actor(run).deliver({ delivery, message, epoch: this.#epoch });",
        to: "delivery.ack(); this.#actor(run).deliver({ delivery, message, epoch: this.#epoch });",
      },
    ],
  },
  {
    rule: "repeats-are-known",
    seed: 8,
    why: "The same signal or update again changes nothing, also in the next life of a run.",
    patches: [
      {
        file: "services/coordinator/src/run/seen.ts",
        from: "if (this.#keys.has(key)) return false;",
        to: "",
      },
    ],
  },
  {
    rule: "life-begins-after-its-cause",
    seed: 7,
    why: "A run that goes on as new takes up the message after the one that led to it, not the last of the batch.",
    patches: [
      {
        file: `${SHELL}/journal.ts`,
        from: "inboxAfter: event.after",
        to: "inboxAfter: upTo",
      },
    ],
  },
  {
    rule: "parent-told-before-ack",
    seed: 17,
    why: "A parent is told the end of its child before the message that led to it is acknowledged.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (end) await this.#afterEnd(execution.started!, execution.startedAtMs, end, execution.folded);",
        to: "if (end) void this.#afterEnd(execution.started!, execution.startedAtMs, end, execution.folded).catch(() => {});",
      },
    ],
  },
  {
    rule: "started-before-stopped",
    seed: 49,
    why: "A child is started before it is asked to stop: it may never have been.",
    patches: [
      {
        file: `${SHELL}/effects.ts`,
        from: "const started = await startChild(this.#deps, parent, child, wanted);",
        to: 'const started = cancelled ? "started" : await startChild(this.#deps, parent, child, wanted);',
      },
    ],
  },
  {
    rule: "handed-on-until-done",
    seed: 31,
    why: "A run that was parked and is handed on keeps its record until the other coordinator has done with it.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (waiting !== undefined) this.#tellGuest(to, waiting, true);",
        to: "if (waiting !== undefined) { this.#tellGuest(to, waiting, true); this.handled({ seq: waiting }); }",
      },
    ],
  },

  // ---------------------------------------------------------------- results
  {
    rule: "child-input",
    seed: 1,
    why: "An event and its text are the same: an abandoned child of the last turn starts with its input.",
    patches: [
      { file: `${RUN}/recorder.ts`, from: 'this.#json === "" ? undefined : JSON.parse(this.#json)', to: "undefined" },
    ],
  },
  {
    rule: "child-input-unchecked",
    seed: 6,
    why: "The same without the check of events against their texts: the results differ.",
    patches: [
      {
        file: `${RUN}/recorder.ts`,
        from: "get input(): unknown {\n      return this.payload;",
        to: "get input(): unknown {\n      return undefined;",
      },
      { file: `${RUN}/recorder.ts`, from: "this.#holds(same,", to: "this.#holds(true || same," },
    ],
  },
  {
    rule: "command-input",
    seed: 1,
    why: "A step gets the input that it was asked for with, not that of another.",
    patches: [
      {
        file: `${SHELL}/commands.ts`,
        from: '`${text},"input":${step.inputText}}`',
        to: '`${text},"input":${step.inputText.replace(\'"n":2,\', \'"n":3,\')}}`',
      },
    ],
  },
  {
    rule: "last-first",
    seed: 3,
    why: "Compensations run last first.",
    patches: [{ file: `${RUN}/closing.ts`, from: "this.#compensations.pop()", to: "this.#compensations.shift()" }],
  },
  {
    rule: "failed-compensation",
    seed: 3,
    why: "A compensation that fails keeps none of the others from running.",
    patches: [
      {
        file: `${RUN}/closing.ts`,
        from: 'run.contain(() => run.decide({ type: "CompensationFailed"',
        to: 'this.#compensations.length = 0; run.contain(() => run.decide({ type: "CompensationFailed"',
      },
    ],
  },
  {
    rule: "signals-carried",
    seed: 2,
    why: "Signals that nobody has asked for go along to the next run segment.",
    patches: [
      {
        file: `${RUN}/execution.ts`,
        from: "const signals = life.signals.left;",
        to: "const signals = life.signals.left.slice(1);",
      },
    ],
  },
  {
    rule: "signal-once",
    seed: 4,
    why: "A signal is handed out once.",
    patches: [
      {
        file: `${RUN}/signals.ts`,
        from: "if (next) this.#handOut(next.wait, kept.payload);\n    else this.#keep(kept);",
        to: "if (next) this.#handOut(next.wait, kept.payload); this.#keep(kept);",
      },
    ],
  },
  {
    rule: "update-answer",
    seed: 19,
    why: "An update is answered with its own result.",
    patches: [
      {
        file: `${RUN}/updates.ts`,
        from: "const answer = await handler.run(value);",
        to: "const answer = (this.last ??= await handler.run(value));",
      },
    ],
  },
  {
    rule: "child-result",
    seed: 3,
    why: "A parent gets the result of the child that it asked for.",
    patches: [
      {
        file: `${SHELL}/ended.ts`,
        from: 'outcome: "completed", output: end.output',
        to: 'outcome: "completed", output: (globalThis.firstOutput ??= end.output)',
      },
    ],
  },
  {
    rule: "close-policy",
    seed: 4,
    why: "A child is stopped as its policy says.",
    patches: [
      {
        file: `${SHELL}/children.ts`,
        from: 'child.onParentClose === "terminate" ? "TerminateRequested"',
        to: 'child.onParentClose === "cancel" ? "TerminateRequested"',
      },
    ],
  },
  {
    rule: "chance-of-the-run",
    seed: 1,
    why: "w.random() goes on after a takeover as it had begun.",
    patches: [
      {
        file: `${RUN}/execution.ts`,
        from: "this.#random = seededRandom(runId);",
        to: "this.#random = seededRandom(recorded.length > 0 ? `${runId}.again` : runId);",
      },
    ],
  },
  {
    rule: "side-effect-once",
    seed: 3,
    why: "A side effect is called once, and replays get what it returned.",
    patches: [
      {
        file: `${RUN}/life.ts`,
        from: 'recorded?.type === "SideEffectRecorded"\n        ?',
        to: "recorded === null\n        ?",
      },
    ],
  },
  {
    rule: "timers-not-early",
    seed: 1,
    why: "A timer does not fire early.",
    patches: [
      {
        file: `${SHELL}/effects.ts`,
        from: "const early = this.#deps.serverClock.now() < slot.fireAt!;",
        to: "const early = false;",
      },
      {
        file: `${RUN}/execution.ts`,
        from: "(this.#isEarly(slot) ? this.#ignore(slot) : this.#fire(slot))",
        to: "this.#fire(slot)",
      },
      {
        file: `${SHELL}/effects.ts`,
        from: "this.#timers.set(`timer.${slot.slot}`, waitMs,",
        to: "this.#timers.set(`timer.${slot.slot}`, waitMs / 2,",
      },
    ],
  },
  {
    rule: "fence",
    seed: 1,
    why: "The journal takes a decision only on top of the one that it was made from.",
    patches: [{ file: `${SHELL}/journal.ts`, from: "{ expectLast: this.lastSeq }", to: "{}" }],
  },
  {
    rule: "all-attempts",
    seed: 1,
    why: "A step has all the attempts that its policy gives it.",
    patches: [
      {
        file: "services/step-worker/src/attempt/verdict.ts",
        from: "attempt >= policy.retry.maxAttempts",
        to: "attempt * 3 >= policy.retry.maxAttempts",
      },
    ],
  },
  {
    rule: "superseded-attempt",
    seed: 8,
    why: "What an attempt throws because another worker has its command is no outcome of the step.",
    patches: [{ file: "services/step-worker/src/shell/attempt.ts", from: "if (running.superseded)", to: "if (false)" }],
  },
  {
    rule: "shielded",
    seed: 24,
    why: "A cancel does not reach what w.uncancellable runs.",
    patches: [{ file: `${RUN}/life.ts`, from: "new Scope(this.#scope(), true)", to: "new Scope(this.#scope())" }],
  },
  {
    rule: "validated",
    seed: 11,
    why: "An update that its validator refuses changes nothing.",
    patches: [{ file: `${RUN}/updates.ts`, from: "handler.validate?.(value),", to: "undefined," }],
  },
  {
    rule: "values-kept",
    seed: 2,
    why: "Values of any kind arrive as they were sent: undefined in a list is not null.",
    patches: [
      {
        file: "packages/contracts/src/value-codec.ts",
        from: 'return { [TAG]: "Undefined" };',
        to: "return null;",
      },
    ],
  },
  {
    rule: "maps-in-order",
    seed: 2,
    why: "A map arrives with its entries in their order.",
    patches: [
      {
        file: "packages/contracts/src/value-codec.ts",
        from: "Map.prototype.entries.call(value)]",
        to: "Map.prototype.entries.call(value)].reverse()",
      },
    ],
  },
  {
    rule: "time-out-throws",
    seed: 4,
    why: "A time-out throws where the workflow asks for that, so that it is told from a signal without a payload.",
    patches: [
      {
        file: `${RUN}/life.ts`,
        from: 'if (onTimeout === "undefined") return this.waits.resolve(wait, undefined);',
        to: "if (wait) return this.waits.resolve(wait, undefined);",
      },
    ],
  },
  {
    rule: "one-at-a-time",
    seed: 40,
    why: "A schedule starts nothing while a run is on, unless its policy says so.",
    patches: [
      {
        file: "packages/sdk/src/schedule/policy.ts",
        from: "else if (running === null) start(next, actions, due);",
        to: "else if (running === null || !pushy) start(next, actions, due);",
      },
    ],
  },
  {
    rule: "schedule-limit",
    seed: 1,
    why: "A schedule with a limit starts as many runs as it says.",
    patches: [
      { file: "packages/sdk/src/schedule/policy.ts", from: "next.left--;", to: "next.left -= next.left > 1 ? 2 : 1;" },
    ],
  },
  {
    rule: "schedule-input",
    seed: 3,
    why: "A run that a schedule starts gets the input of its action.",
    patches: [
      {
        file: "packages/sdk/src/schedule/workflow.ts",
        from: "const child = w.scope(() => w.child(target, input, options));",
        to: "const child = w.scope(() => w.child(target, { ...(input as object), width: 1 }, options));",
      },
    ],
  },
  {
    rule: "schedule-times",
    seed: 60,
    why: "A schedule starts a run for each of its times, and leaves none out that its policy does not.",
    patches: [
      {
        file: "packages/sdk/src/schedule/look.ts",
        from: "const due = timesIn(times, since, now, Math.min(room, MOST_LISTED));",
        to: "const due = timesIn(times, since, now, Math.min(room, MOST_LISTED)).slice(0, 1);",
      },
    ],
  },
  {
    rule: "patched-for-new",
    seed: 3,
    why: "A run that comes to a patch with the new code takes its new branch.",
    patches: [{ file: `${RUN}/life.ts`, from: "|| !this.#run.replaying;", to: ";" }],
  },
  {
    rule: "patched-not-for-old",
    seed: 5,
    why: "A run that has passed a patch with the old code does not take the new branch.",
    patches: [{ file: `${RUN}/life.ts`, from: "|| !this.#run.replaying;", to: "|| true;" }],
  },
  {
    rule: "given-up-start",
    seed: 7,
    why: "A start in the place of another that was given up terminates and deletes nothing more.",
    patches: [
      {
        file: "packages/sdk/src/start-instead.ts",
        from: "for (let attempt = 1; ; attempt++) {\n    signal.throwIfAborted();",
        to: "for (let attempt = 1; ; attempt++) {\n    signal = new AbortController().signal;",
      },
    ],
  },
];
