import { deepFreeze, fromWire, InvalidInputError, InvalidOutputError, toFailure, toWire } from "@stepstream/contracts";
import type { RunExecution } from "./execution.ts";
import { frames } from "./frame.ts";

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
  validate: ((input: any) => void) | undefined;
}

/**
 * The updates of a run: each is refused, or accepted and then answered.
 *
 * U1. The same id again is the same update.
 * U2. A refused update has changed nothing: its input does not fit, or the validator threw.
 * U3. Updates that come before there is a handler are kept for it.
 */
export class Updates {
  readonly #run: RunExecution;
  readonly #root: Scope;
  readonly #seen: Seen;
  readonly #handlers = new Map<string, Handler>();
  #kept: Request[] = [];

  constructor(run: RunExecution, root: Scope, seen: Seen) {
    this.#run = run;
    this.#root = root;
    this.#seen = seen;
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
    if (!this.#seen.add(request.id)) return;
    const { workflow } = this.#run;
    if (!Object.hasOwn(workflow.updates, request.name))
      return this.#refuse(request.id, new RangeError(unknown(workflow, "update", request.name)));
    const handler = this.#handlers.get(request.name);
    if (handler) this.#answer(request, handler);
    else this.#kept.push(request);
  }

  /** The run ends or goes on as new: nobody will answer these. */
  refuseKept(why: string): void {
    for (const { id } of this.#kept) this.#refuse(id, new Error(why));
    this.#kept = [];
  }

  #answer({ id, name, input }: Request, handler: Handler): void {
    const { input: schema, output } = this.#run.workflow.updates[name];
    const frame = { execution: this.#run, scope: new Scope(this.#root) };
    const read = fromWire(schema, input);
    if (!read.ok) {
      const what = `update "${name}"`;
      return this.#refuse(id, new InvalidInputError(what, read.path, read.message, this.#run.where));
    }
    const value = deepFreeze(read.value);
    try {
      frames.run({ ...frame, readOnly: true }, () => handler.validate?.(value));
    } catch (error) {
      return this.#refuse(id, error);
    }
    this.#run.decide({ type: "UpdateAccepted", id, name });
    frames.run(frame, async () => {
      try {
        const answer = await handler.run(value);
        const sent = toWire(output, answer);
        if (sent.ok) return this.#run.decide({ type: "UpdateCompleted", id, output: sent.value });
        throw new InvalidOutputError(`update "${name}"`, sent.path, sent.message, this.#run.where);
      } catch (error) {
        this.#run.decide({ type: "UpdateFailed", id, error: toFailure(error) });
      }
    });
  }

  #refuse(id: string, error: unknown): void {
    this.#run.decide({ type: "UpdateRefused", id, error: toFailure(error) });
  }
}
