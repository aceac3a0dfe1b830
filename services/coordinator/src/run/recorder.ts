import { isDeepStrictEqual } from "node:util";
import {
  InvalidInputError,
  type InvariantError,
  invariant,
  isTerminal,
  isTooLong,
  isTooLongForV8,
  MAX_MESSAGE_BYTES,
  MessageTooLargeError,
  NonDeterminismError,
  pathOf,
  quickCheck,
  RunEvent,
  type StalledError,
  shortened,
  thorough,
} from "@stepstream/contracts";
import { sameDecision } from "./same-decision.ts";

/** An event, and its JSON as it goes into the journal: taken when it was decided, so nobody changes it after. */
export interface Decided {
  readonly event: RunEvent;
  readonly text: string;
}

/** Fields of events that hold what user code made. */
type PayloadKey = "input" | "output" | "value";

/** JSON of a part of an event, which is written once and is what the event holds as well. */
export interface Payload {
  readonly key: PayloadKey;
  /** Empty for undefined. */
  readonly json: string;
  /** Keys of the event that follow it: the text then has its keys in the order of the schema, and compares fast. */
  readonly rest?: object | undefined;
}

/** Why a run cannot go on here. */
export type Fault = NonDeterminismError | StalledError | InvariantError | MessageTooLargeError;

/**
 * What a run has decided: first once more what its journal holds, then what is new.
 *
 * R5. What was decided before is decided again, or the run has a `fault` and decides nothing more.
 * R6. What is decided can be read back: an event that does not fit its schema is refused where it is decided.
 * R7. An event and its text say the same: the event's payload is read from the text.
 *
 * R5 is checked at every decision of a replay. R6 and R7 are asserted for every event where checks are thorough.
 */
export class Recorder {
  /** Why the run cannot go on here: it is to be parked. Nothing that was decided since is to be written. */
  fault: Fault | undefined;
  /** How much was decided, what was decided before included. */
  count = 0;
  readonly #run: string;
  readonly #recorded: readonly RunEvent[];
  #fresh: Decided[] = [];
  /** Characters of it. */
  #length = 0;
  #ended = false;

  constructor(run: string, recorded: readonly RunEvent[]) {
    this.#run = run;
    this.#recorded = recorded;
  }

  /** What the journal has at this place. */
  get next(): RunEvent | undefined {
    return this.#recorded[this.count];
  }

  /** What the journal has of one type, from this place on, up to where the run went on as new. */
  ahead<T extends RunEvent["type"]>(type: T): Extract<RunEvent, { type: T }>[] {
    const found: Extract<RunEvent, { type: T }>[] = [];
    for (let i = this.count; i < this.#recorded.length; i++) {
      const event = this.#recorded[i]!;
      if (event.type === "RunContinued") break;
      if (event.type === type) found.push(event as Extract<RunEvent, { type: T }>);
    }
    return found;
  }

  /**
   * @throws {InvalidInputError} The event does not fit its schema; nothing was decided.
   * @throws {MessageTooLargeError} The event fits no message; nothing was decided.
   */
  decide(event: RunEvent, payload?: Payload): void {
    if (this.fault) return;
    this.#holds(!this.#ended, "run R2", `${event.type} was decided after the end`);
    const decided = writeWithin(event, payload);
    const recorded = this.next;
    if (!recorded || !sameDecision(recorded, decided.text)) {
      // The same in a replay: what would have been refused then is refused now.
      this.#check(payload?.rest ? { ...event, ...payload.rest } : event);
      if (recorded) {
        this.fault = new NonDeterminismError(this.#run, this.count + 1, recorded, JSON.parse(decided.text));
        return;
      }
    }
    this.count++;
    if (isTerminal(event)) this.#ended = true;
    if (recorded) return;
    if (thorough) this.#checkWritten(decided);
    this.#fresh.push(decided);
    this.#length += decided.text.length;
    // Now, not when it is written: the code would hold up other runs until the watchdog stops it.
    if (this.#length <= MAX_MESSAGE_BYTES) return;
    this.fault = tooMuch(this.#run, this.#length);
    this.#fresh = [];
  }

  #holds(isSo: boolean, promise: string, what: string | (() => string)): void {
    // At every decision, slot and turn: what holds costs nothing more.
    if (isSo) return;
    try {
      invariant(isSo, promise, { run: this.#run }, what);
    } catch (error) {
      this.fault ??= error as InvariantError;
      throw error;
    }
  }

  #checkWritten({ event, text }: Decided): void {
    const json = JSON.parse(text);
    const same = isDeepStrictEqual(JSON.parse(JSON.stringify(event)), json);
    this.#holds(same, "recorder R7", () => `${event.type} and its text differ: ${text}`);
    this.#holds(RunEvent.safeParse(json).success, "recorder R6", () => `${event.type} cannot be read back: ${text}`);
  }

  /** Payloads may be anything, and are JSON already; the rest is small. */
  #check(event: object): void {
    // The most frequent one, and the engine made all of it: the step's name was checked with its definition.
    if ((event as RunEvent).type === "StepScheduled" || quickCheck(RunEvent)(event)) return;
    const read = RunEvent.safeParse(event);
    if (read.success) return;
    const issue = read.error.issues[0]!;
    throw new InvalidInputError(`event ${(event as RunEvent).type}`, pathOf(issue.path), issue.message, {
      run: this.#run,
    });
  }

  /** What is new since this was last asked. */
  take(): Decided[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    this.#length = 0;
    if (this.fault) return [];
    const after = fresh.length === 0 || this.count - fresh.length >= this.#recorded.length;
    this.#holds(after, "recorder R5", "something new was decided before all that is recorded");
    return fresh;
  }

  /** After a replay: is all that was recorded decided again, and nothing besides? Sets `fault` if not. */
  checkReplayed(extra: readonly Decided[]): void {
    if (this.fault) return;
    if (this.next) this.fault = new NonDeterminismError(this.#run, this.count + 1, this.next, undefined);
    else if (extra.length > 0)
      this.fault = new NonDeterminismError(this.#run, this.#recorded.length + 1, undefined, extra[0]!.event);
  }
}

/**
 * Writes an event that fits a message. An error that is too large is shortened: what failed must have an outcome.
 *
 * @throws {MessageTooLargeError}
 */
function writeWithin(event: RunEvent, payload: Payload | undefined): Decided {
  const tooLong = (bytes?: number) => new MessageTooLargeError(`event ${event.type}`, bytes, EVENT_BYTES_MAX);
  try {
    const decided = write(event, payload);
    if (!isTooLong(decided.text, EVENT_BYTES_MAX)) return decided;
    throw tooLong(Buffer.byteLength(decided.text));
  } catch (error) {
    const tooLarge = isTooLongForV8(error) ? tooLong() : error;
    if (!(tooLarge instanceof MessageTooLargeError && "error" in event && event.error)) throw tooLarge;
    return write({ ...event, error: shortened(event.error) } as RunEvent, payload);
  }
}

/** All that a workflow asked for in one turn fits no message. */
export function tooMuch(run: string, length: number): MessageTooLargeError {
  const advice =
    "This is what the workflow asked for in one turn, without waiting. Ask for less at a time, e.g. with w.map() and its " +
    "concurrency, start child runs for the parts, or pass references to large data.";
  return new MessageTooLargeError(`a decision of run ${run}`, length, MAX_MESSAGE_BYTES, advice);
}

/** What a decision puts around its events has room beside one of this size. */
const EVENT_BYTES_MAX = MAX_MESSAGE_BYTES - 16_384;

/** The event and its text, both of the same parts. */
function write(head: RunEvent, payload: Payload | undefined): Decided {
  if (!payload) return { event: head, text: JSON.stringify(head) };
  if (head.type === "StepScheduled") return writeStep(head, payload);
  const { key, json, rest } = payload;
  let text = JSON.stringify(head).slice(0, -1);
  if (json !== "") text += `,"${key}":${json}`;
  if (rest) {
    const more = JSON.stringify(rest).slice(1, -1);
    if (more !== "") text += `,${more}`;
  }
  return { event: Object.assign(new WITH[key](json), head, rest) as unknown as RunEvent, text: `${text}}` };
}

/** The same for the most frequent event, in half the time. Nothing in a step's name would be escaped in JSON. */
function writeStep({ slot, step }: Extract<RunEvent, { type: "StepScheduled" }>, { json, rest }: Payload): Decided {
  let text = `{"type":"StepScheduled","slot":${slot},"step":"${step}"`;
  if (json !== "") text += `,"input":${json}`;
  if (rest) text += `,${JSON.stringify(rest).slice(1, -1)}`;
  return { event: new StepScheduled(slot, step, json, rest) as unknown as RunEvent, text: `${text}}` };
}

/** An event that reads its payload from the text: most events are written, and their payload is never looked at. */
abstract class Written {
  readonly #json: string;

  constructor(json: string) {
    this.#json = json;
  }

  protected get payload(): unknown {
    return this.#json === "" ? undefined : JSON.parse(this.#json);
  }
}

/** Accessors of a class cost a tenth of those of an object. */
const WITH = {
  input: class extends Written {
    get input(): unknown {
      return this.payload;
    }
    toJSON(): object {
      return { ...this, input: this.input };
    }
  },
  output: class extends Written {
    get output(): unknown {
      return this.payload;
    }
    toJSON(): object {
      return { ...this, output: this.output };
    }
  },
  value: class extends Written {
    get value(): unknown {
      return this.payload;
    }
    toJSON(): object {
      return { ...this, value: this.value };
    }
  },
};

class StepScheduled extends WITH.input {
  readonly type = "StepScheduled";
  readonly slot: number;
  readonly step: string;

  constructor(slot: number, step: string, json: string, rest: object | undefined) {
    super(json);
    this.slot = slot;
    this.step = step;
    if (rest) Object.assign(this, rest);
  }
}
