import type { AnyWorkflow } from "@stepstream/sdk";
import { RunExecution } from "../run/execution.ts";
import type { Observer } from "../run/observer.ts";
import { type Position, positions } from "../run/positions.ts";
import type { Slot } from "../run/slot.ts";
import type { Wait } from "../run/waits.ts";
import { nameOf } from "../run/walk.ts";
import { type Deps, keyOf } from "./deps.ts";
import { readHistory } from "./history.ts";
import { replay } from "./replay.ts";

/** Kinds of forgotten work that are told apart; and those that are replayed to find their place in the code. */
const MAX_KINDS = 500;
/** A longer history is not replayed for a warning. */
const MAX_MESSAGES = 5_000;

/**
 * Warns of work that a workflow function has asked for and not awaited, and finds the place in the code.
 *
 * To keep a stack for every ask would cost ten microseconds each, so the run is replayed for it: off the way of the
 * messages, one run at a time, once for each kind of forgotten work of a workflow.
 */
export class ForgottenAsks {
  /** `<workflow>@<version> <what>` → where. */
  readonly #found = new Map<string, string | undefined>();
  #last: Promise<unknown> = Promise.resolve();
  /** Where everything was asked for, if that is kept at once. */
  readonly #asked: WeakMap<object, Position[]> | undefined;
  /** For the runs of the coordinator. */
  readonly observer: Observer | undefined;

  /** @param keep - Keep every place at once, and report at once. */
  constructor(keep = false) {
    if (!keep) return;
    const asked = new WeakMap<object, Position[]>();
    this.#asked = asked;
    this.observer = observing(asked);
  }

  get atOnce(): boolean {
    return this.#asked !== undefined;
  }

  report(deps: Deps, run: string, workflow: AnyWorkflow, forgotten: readonly (Slot | Wait)[]): void {
    const key = (asked: Slot | Wait) =>
      `${keyOf({ workflow: workflow.name, version: workflow.version })} ${kindOf(asked)}`;
    const report = () => {
      for (const asked of forgotten)
        deps.emit({
          type: "forgotten",
          run,
          workflow: workflow.name,
          what: nameOf(asked),
          slot: "slot" in asked ? asked.slot : undefined,
          position: this.#asked ? show(this.#asked.get(asked)?.[0]) : this.#found.get(key(asked)),
        });
    };
    if (this.#asked || this.#found.size >= MAX_KINDS || forgotten.every((asked) => this.#found.has(key(asked))))
      return report();
    this.#last = this.#last
      .then(async () => {
        if (forgotten.every((asked) => this.#found.has(key(asked)))) return;
        const places = await placesOf(deps, run, workflow);
        for (const asked of forgotten) {
          const same = places.find((place) => idOf(place.asked) === idOf(asked));
          this.#found.set(key(asked), same && show(same.positions[0]));
        }
      })
      .catch((error) => deps.warn("find what a run has not awaited", error, run))
      .then(report);
  }
}

/** What the last run segment that is in the history had left open, and where it was asked for. */
async function placesOf(
  deps: Deps,
  run: string,
  workflow: AnyWorkflow,
): Promise<{ asked: Slot | Wait; positions: Position[] }[]> {
  const history = await readHistory(deps, run, 0, true);
  if (history.inbox.length + history.events.length > MAX_MESSAGES) return [];
  const asked = new Map<object, Position[]>();
  const execution = new RunExecution(run, workflow, history.events, history.upTo, observing(asked));
  execution.owner = deps.id;
  await replay(deps, execution, history);
  return execution.takeForgotten().map((forgotten) => ({ asked: forgotten, positions: asked.get(forgotten) ?? [] }));
}

function observing(asked: { set(what: object, at: Position[]): unknown }): Observer {
  return { asked: (what) => void asked.set(what, positions()), faulted() {} };
}

/** A child's id is another in every run. */
function kindOf(asked: Slot | Wait): string {
  return "slot" in asked && asked.child ? `child of ${asked.child.definition.name}` : nameOf(asked);
}

function idOf(asked: Slot | Wait): string {
  return "slot" in asked ? `slot ${asked.slot}` : `wait ${asked.number} ${nameOf(asked)}`;
}

function show(position: Position | undefined): string | undefined {
  return position && `${position.file}:${position.line}:${position.column}`;
}
