import type { Outcome, Scenario } from "./scenario.ts";
import { simulateWorld, type Trace } from "./world.ts";

export interface SimulateOptions {
  /** Runs in each world. Default 10. */
  runs?: number;
  /** The first seed. Default 1. Alone: this world only. */
  seed?: number;
  /** How many worlds. Default 20, or 1 where `seed` is given. */
  seeds?: number;
  /** Hears of everything that processes do, a line each. */
  trace?: Trace;
}

/** What came of all worlds together. */
export interface Simulation extends Outcome {
  readonly worlds: number;
  /** The worlds that went wrong, those with the shortest histories first. */
  readonly failed: readonly Outcome[];
}

/**
 * Runs your own workflows in simulated worlds: the real coordinators, workers and client, in virtual time, with crashes
 * before any effect, lost and late messages, cuts, pauses, stale reads and server restarts for a minute and a half.
 * Then every run must end, and everything must have been as promised. A seed is a story: it is told the same way again.
 *
 * @param scenario - Or a function that makes it, called for each world: for handlers with a state of their own.
 * @example
 * const { faults, story } = await simulate({ workflows: [order], steps: handlers, seeds: 50,
 *   start: (chance, i) => ({ workflow: order, input: { id: i, cents: chance.int(1_000) } }) });
 * expect(faults, story).toEqual([]);
 */
export async function simulate(
  scenario: (Scenario & SimulateOptions) | (() => Scenario & SimulateOptions),
): Promise<Simulation> {
  const make = typeof scenario === "function" ? scenario : () => scenario;
  const first = make();
  const { runs = 10, seed = 1, seeds = first.seed === undefined ? 20 : 1, trace } = first;
  const outcomes: Outcome[] = [];
  for (let i = 0; i < seeds; i++) outcomes.push(await simulateWorld(i === 0 ? first : make(), seed + i, runs, trace));
  const length = ({ history }: Outcome) => history?.length ?? Number.POSITIVE_INFINITY;
  const failed = outcomes.filter(({ faults }) => faults.length > 0).sort((a, b) => length(a) - length(b) || 0);
  const mishaps: Record<string, number> = {};
  for (const outcome of outcomes)
    for (const [what, n] of Object.entries(outcome.mishaps)) mishaps[what] = (mishaps[what] ?? 0) + n;
  const worst = failed[0] ?? outcomes[0]!;
  return {
    worlds: seeds,
    failed,
    seed: worst.seed,
    faults: failed.flatMap((outcome) => outcome.faults.map((fault) => `seed ${outcome.seed}: ${fault}`)),
    history: failed[0]?.history,
    story: failed[0]?.story,
    mishaps,
    runs: seeds * runs,
    virtualMs: outcomes.reduce((sum, outcome) => sum + outcome.virtualMs, 0),
  };
}
