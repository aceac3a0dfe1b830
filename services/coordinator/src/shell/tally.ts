import { PermissionDeniedError } from "@stepstream/contracts";
import { type Expected, expectedOf, NOTHING_EXPECTED } from "../audit/expected.ts";
import type { Deps } from "./deps.ts";
import type { LiveRuns, Mailboxes } from "./live-runs.ts";

/**
 * Finds between two listings of the auditor whether there may be reason for one: too few commands or timers are stored, or a timer
 * is overdue. It counts and names nothing: which run lacks what, and whether it does, is the auditor's to find.
 *
 * B1. A check costs two short answers of the server, however many runs there are.
 * B2. What stays short is reported at the first check, and at the second, fourth, eighth … in a row: in a partition that is busy the
 *     numbers do not fit for long, though nothing is missing.
 *
 * Checked elsewhere:
 *   B1  ../../../../test/simulation/auditor.test.ts: costs a fixed number of requests where nothing is absent
 *   B2  ../../../../test/simulation/auditor.test.ts: lists less and less often what is counted wrong
 */
export class Tally {
  readonly #deps: Deps;
  readonly #partition: number;
  readonly #runs: LiveRuns;
  readonly #mailboxes: Mailboxes;
  /** How often in a row it was so. */
  readonly #inARow = { commands: 0, timers: 0, overdue: 0 };
  /** nats-server does not permit it: the log reports that. */
  #denied = false;

  constructor(deps: Deps, partition: number, runs: LiveRuns, mailboxes: Mailboxes) {
    this.#deps = deps;
    this.#partition = partition;
    this.#runs = runs;
    this.#mailboxes = mailboxes;
  }

  /** @returns Whether there is reason to list what is stored. */
  async check(): Promise<boolean> {
    const before = this.#expected();
    const counted = before.commands + before.timers > 0 ? await this.#count() : NOTHING_EXPECTED;
    const isShort = (expected: Expected) => ({
      commands: counted.commands < expected.commands,
      timers: counted.timers < expected.timers,
      overdue: expected.overdue > 0,
    });
    let short = isShort(before);
    // What has been done with meanwhile is not missing.
    if (short.commands || short.timers || short.overdue) short = isShort(least(before, this.#expected()));
    const kinds = ["commands", "timers", "overdue"] as const;
    return kinds.map((kind) => this.#note(kind, short[kind])).includes(true);
  }

  async #count(): Promise<{ commands: number; timers: number }> {
    const { log } = this.#deps;
    const { all } = log.subjects;
    if (this.#denied) return { commands: Number.POSITIVE_INFINITY, timers: Number.POSITIVE_INFINITY };
    try {
      const [commands, timers] = await Promise.all([
        log.count("COMMANDS", all.commandsOfPartition(this.#partition)),
        log.count("TIMERS", all.timersOfPartition(this.#partition)),
      ]);
      return { commands, timers };
    } catch (error) {
      if (!(error instanceof PermissionDeniedError)) throw error;
      this.#denied = true;
      return this.#count();
    }
  }

  #note(what: "commands" | "timers" | "overdue", isSo: boolean): boolean {
    this.#inARow[what] = isSo ? this.#inARow[what] + 1 : 0;
    return isSo && Number.isInteger(Math.log2(this.#inARow[what]));
  }

  /** What must be stored of runs that are not being handled just now. */
  #expected(): Expected {
    const { serverClock, settings } = this.#deps;
    const when = { now: serverClock.now(), shortTimerMs: settings.shortTimerMs };
    const sum = { ...NOTHING_EXPECTED };
    for (const [run, { needs }] of this.#runs.entries())
      if (this.#mailboxes.awaited(run) === undefined) expectedOf(needs, when, sum);
    for (const run of this.#mailboxes.runs()) {
      const awaited = this.#mailboxes.awaited(run);
      if (awaited !== undefined && awaited !== "busy") expectedOf(awaited.needs, when, sum);
    }
    return sum;
  }
}

function least(one: Expected, other: Expected): Expected {
  return {
    commands: Math.min(one.commands, other.commands),
    timers: Math.min(one.timers, other.timers),
    overdue: Math.min(one.overdue, other.overdue),
  };
}
