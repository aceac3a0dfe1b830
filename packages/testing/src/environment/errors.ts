/** A step was to be run that nobody does. It was made to fail, for good. */
export class UnhandledStepError extends Error {
  readonly code = "STEP_UNHANDLED";
  readonly retry = "never";
  readonly step: string;

  constructor(step: string, run: string) {
    super(
      `Step "${step}" of run ${run} has neither a handler nor a fake in this test; it was made to fail. ` +
        `Say what it does: env.fake(${step}, async (input, ctx) => …), or createTestEnvironment({ steps: [handle(${step}, …)] }).`,
    );
    this.name = "UnhandledStepError";
    this.step = step;
  }
}

/** A workflow function ended, and something it had asked for was still open. Thrown with `unawaited: "throw"`. */
export class NotAwaitedError extends Error {
  readonly code = "NOT_AWAITED";
  readonly retry = "never";

  constructor(message: string) {
    super(message);
    this.name = "NotAwaitedError";
  }
}

/** Somebody waits, and nothing is left that could happen. */
export class NothingLeftError extends Error {
  readonly code = "NOTHING_LEFT";
  readonly retry = "never";

  constructor(why: string) {
    super(`Nothing is left to happen in this test, but it still waits. ${why}`);
    this.name = "NothingLeftError";
  }
}

/** What did not come to be in time, by virtual time. */
export class NotWithinError extends Error {
  readonly code = "NOT_WITHIN";
  readonly retry = "never";

  constructor(ms: number) {
    super(`The condition did not come true within ${ms} ms of virtual time.`);
    this.name = "NotWithinError";
  }
}

/** One world of `crashEverywhere` that went wrong. */
export interface BrokenByCrash {
  /** The crash came before this effect, counted from 1. */
  readonly effect: number;
  readonly process: string;
  /** What the process was about to do. */
  readonly what: string;
  readonly error: unknown;
}

/** A scenario does not survive every crash. */
export class CrashError extends AggregateError {
  readonly code = "CRASH_BROKE_SCENARIO";
  readonly retry = "never";
  readonly broken: readonly BrokenByCrash[];

  constructor(crashes: number, broken: readonly BrokenByCrash[]) {
    const most = 5;
    const lines = broken
      .slice(0, most)
      .map(({ effect, process, what, error }) => `  ${effect}: before the ${process}'s "${what}": ${textOf(error)}`);
    if (broken.length > most) lines.push(`  … and ${broken.length - most} more`);
    super(
      broken.map(({ error }) => error),
      `${broken.length} of ${crashes} crashes broke the scenario:\n${lines.join("\n")}\n` +
        `One of them alone: env.crashEverywhere(scenario, { only: ${broken[0]!.effect} })`,
    );
    this.name = "CrashError";
    this.broken = broken;
  }
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}
