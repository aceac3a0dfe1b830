import {
  deepFreeze,
  encodePayload,
  fromWire,
  InvalidInputError,
  InvalidOutputError,
  isTerminal,
  type RunEvent,
  toFailure,
  toWire,
} from "@stepstream/contracts";
import type { RunExecution } from "./execution.ts";
import { type Frame, frames, mustBeSync } from "./frame.ts";
import type { Life } from "./life.ts";
import { isCancelReason } from "./rejections.ts";
import { Scope } from "./scope.ts";
import type { Seen } from "./seen.ts";
import { unknown } from "./signals.ts";

interface Request {
  id: string;
  name: string;
  input?: unknown;
}
interface Handler {
  run: (input: any) => unknown;
  validate: ((input: any) => unknown) | undefined;
}

function isEnd(event: RunEvent | undefined): boolean {
  return event !== undefined && (event.type === "RunContinued" || isTerminal(event));
}

/** So many updates without a handler are carried on when the run continues as new. */
const MAX_CARRIED = 200;

/**
 * The updates of a run: each is refused, or accepted and then answered.
 *
 * U1. The same id again is the same update.
 * U2. An update that is refused before it was accepted has changed nothing: its input does not fit, or the validator
 *     threw.
 * U3. Updates that come before there is a handler are kept for it, also over `continueAsNew`; so are those that come
 *     when the workflow function has ended and the run continues as new.
 * U4. What is in progress when the run segment ends is cancelled and refused, with how it ends, also where the run was
 *     cancelled or has timed out; unless the handler answers, or fails with an error of its own. (If the run is
 *     terminated, its journal has no answer, and the sender's client says the same.)
 *
 * U1 and U4 are asserted ("updates U1", "updates U4"). The simulation, too, compares all answers.
 *
 * Checked elsewhere:
 *   U2  "life L3"
 *   U3  outside.test.ts: that comes twice is one; one that comes before its handler is kept
 */
export class Updates {
  readonly #run: RunExecution;
  readonly #life: Life;
  readonly #frame: (scope: Scope) => Frame;
  readonly #seen: Seen;
  readonly #handlers = new Map<string, Handler>();
  /** Accepted, and not answered yet. */
  readonly #inProgress = new Set<string>();
  #kept: Request[] = [];

  constructor(run: RunExecution, life: Life, seen: Seen, frame: (scope: Scope) => Frame) {
    this.#run = run;
    this.#life = life;
    this.#seen = seen;
    this.#frame = frame;
  }

  get inProgress(): number {
    return this.#inProgress.size;
  }

  handle(name: string, handler: Handler): void {
    if (!Object.hasOwn(this.#run.workflow.updates, name))
      throw new RangeError(unknown(this.#run.workflow, "update", name));
    this.#handlers.set(name, handler);
    const ready = this.#kept.filter((request) => request.name === name);
    this.#kept = this.#kept.filter((request) => request.name !== name);
    for (const request of ready) this.#answer(request, handler);
  }

  receive(request: Request): void {
    if (!this.#seen.add("update", request.id)) return;
    const { id, name, input } = request;
    const { workflow } = this.#run;
    if (!Object.hasOwn(workflow.updates, name))
      return this.#refuse(id, new RangeError(unknown(workflow, "update", name)));
    const handler = this.#life.ended ? undefined : this.#handlers.get(name);
    if (handler) this.#answer(request, handler);
    else this.#kept.push({ id, name, input });
  }

  /** Updates that came before the run continued as new. */
  carryOn(requests: readonly Request[]): void {
    this.#kept.push(...requests);
  }

  /** The run continues as new: the updates that the next run segment is to answer. */
  handOver(): Request[] {
    const carried = this.#kept.slice(0, MAX_CARRIED);
    for (const { id, name } of this.#kept.slice(MAX_CARRIED))
      this.#refuse(id, new Error(`The run continued as new, and no handler has answered "${name}". Send it again.`));
    this.#kept = [];
    return carried;
  }

  /** The run segment ends: those whose handler has not come to an end will get no other answer. */
  refuseInProgress(): void {
    for (const id of [...this.#inProgress]) {
      this.#fail(id, this.#life.cancelledError("the run is ending"));
    }
    this.#run.holds(this.#inProgress.size === 0, "updates U4", "an update is left without an answer");
  }

  #answer({ id, name, input }: Request, handler: Handler): void {
    const { input: schema, output } = this.#run.workflow.updates[name];
    const scope = new Scope(this.#life.root);
    scope.ofUpdate = true;
    const frame = this.#frame(scope);
    const read = fromWire(schema, input);
    if (!read.ok) {
      const what = `update "${name}"`;
      return this.#refuse(id, new InvalidInputError(what, read.path, read.message, this.#run.where));
    }
    const value = deepFreeze(read.value);
    try {
      frames.run({ ...frame, readOnly: true }, () =>
        mustBeSync(
          handler.validate?.(value),
          `The validator of update "${name}"`,
          "Check what takes time in the handler, and throw there.",
        ),
      );
    } catch (error) {
      return this.#refuse(id, error);
    }
    this.#run.holds(!this.#inProgress.has(id), "updates U1", `update ${id} is accepted while it is in progress`);
    this.#run.decide({ type: "UpdateAccepted", id, name });
    this.#inProgress.add(id);
    frames.run(frame, async () => {
      try {
        const answer = await handler.run(value);
        const sent = toWire(output, answer);
        if (!sent.ok) throw new InvalidOutputError(`update "${name}"`, sent.path, sent.message, this.#run.where);
        const json = encodePayload(`the output of update "${name}"`, sent.value);
        if (this.#inProgress.delete(id)) this.#completed(id, json);
      } catch (error) {
        this.#fail(id, error);
      }
    });
  }

  #completed(id: string, json: string): void {
    this.#run.decide({ type: "UpdateCompleted", id }, { key: "output", json });
  }

  #fail(id: string, error: unknown): void {
    if (!this.#inProgress.delete(id)) return;
    const how = this.#ending();
    // Older histories have no answer at the end: that is next.
    if (how && isEnd(this.#run.recorder.next)) return;
    if (!how || !isCancelReason(error)) return this.#run.decide({ type: "UpdateFailed", id, error: toFailure(error) });
    const retry = how === "continued as new" ? " Send it again, with a new id." : "";
    this.#refuse(
      id,
      new Error(`The run ${how} while the update was in progress, which may have changed something already.${retry}`),
    );
  }

  /** How the run segment ends, if it does. */
  #ending(): string | undefined {
    const { ended, cancelRequest, timedOut } = this.#life;
    if (timedOut) return "timed out";
    if (cancelRequest) return "was cancelled";
    if (!ended) return undefined;
    if ("next" in ended) return "continued as new";
    return ended.ok ? "completed" : "failed";
  }

  #refuse(id: string, error: unknown): void {
    this.#run.decide({ type: "UpdateRefused", id, error: toFailure(error) });
  }
}
