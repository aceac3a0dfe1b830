/**
 * The rules of the protocol, and what the code looks like without each: the simulation must notice.
 * A patch that does not apply any more is an error, so the table cannot go stale.
 */
export interface Mutation {
  readonly rule: string;
  readonly why: string;
  readonly patches: readonly { file: string; from: string; to: string }[];
}

const SHELL = "services/coordinator/src/shell";

export const mutations: readonly Mutation[] = [
  {
    rule: "journal-before-commands",
    why: "What is decided is journalled before anything of it is done.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "const written = await this.#write(folded.decided);",
        to: "await this.#carryOut([], folded); const written = await this.#write(folded.decided);",
      },
    ],
  },
  {
    rule: "delivery-epochs",
    why: "A run in memory is folded on without reading only within one delivery epoch.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (deliveries === 1 && arrival.epoch === this.#epoch) {",
        to: "if (true) {",
      },
    ],
  },
  {
    rule: "complete-reads",
    why: "A read counts only if it holds the message in hand and all that the journal has consumed.",
    patches: [
      {
        file: `${SHELL}/history.ts`,
        from: "const complete = (inbox.at(-1)?.seq ?? inboxAfter) >= Math.max(holds, upTo);",
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
    rule: "outstanding-then-inbox",
    why: "On a takeover the commands that are out are listed first, then the inbox is read.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "const out = await this.#outstanding();\n    const history = await readHistory(this.#deps, this.run, holds, fresh);",
        to: "const history = await readHistory(this.#deps, this.run, holds, fresh);\n    const out = await this.#outstanding();",
      },
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (texts.some((text) => answers(text, slot))) out.add(n);",
        to: "if (texts.length < 0) out.add(n);",
      },
    ],
  },
  {
    rule: "settle-before-compensation",
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
    rule: "ack-when-durable",
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
    why: "The same signal or update again changes nothing, also in the next life of a run.",
    patches: [
      {
        file: "services/coordinator/src/run/seen.ts",
        from: "if (this.#ids.has(id)) return false;",
        to: "",
      },
    ],
  },
  {
    rule: "life-begins-after-its-cause",
    why: "A run that goes on as new takes up the message after the one that led to it, not the last of the batch.",
    patches: [
      {
        file: `${SHELL}/journal.ts`,
        from: "inboxAfter: continued.after",
        to: "inboxAfter: upTo",
      },
    ],
  },
  {
    rule: "parent-told-before-ack",
    why: "A parent is told the end of its child before the message that led to it is acknowledged.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (end) await this.#afterEnd(execution.started!, execution.startedAtMs, end);",
        to: "if (end) void this.#afterEnd(execution.started!, execution.startedAtMs, end).catch(() => {});",
      },
    ],
  },
  {
    rule: "started-before-stopped",
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
    why: "A run that was parked and is handed on keeps its record until the other coordinator has done with it.",
    patches: [
      {
        file: `${SHELL}/run-actor.ts`,
        from: "if (waiting !== undefined) this.#tellGuest(to, waiting);",
        to: "if (waiting !== undefined) { this.#tellGuest(to, waiting); this.handled(waiting, undefined); }",
      },
    ],
  },
];
