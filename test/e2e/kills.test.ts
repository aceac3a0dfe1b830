/** nats-server is killed every few seconds under many runs: none stands still, and nothing is left. */
import { expect, it } from "vitest";
import { round } from "./kills/round.ts";

/** All of it takes half an hour: `STEPSTREAM_SLOW_TESTS=1`, or `node test/e2e/kills/main.ts`. */
const [ROUNDS, RUNS, KILLS] = process.env.STEPSTREAM_SLOW_TESTS ? [12, 1_000, 6] : [1, 150, 3];

it.each(Array.from({ length: ROUNDS }, (_, i) => i + 1))(
  `round %i: ${RUNS} runs, a third cancelled, ${KILLS} kills: all end, and nothing is left`,
  async () => {
    const { standing, left, ...figures } = await round({ runs: RUNS, kills: KILLS });
    console.log(JSON.stringify(figures));
    expect(standing).toEqual([]);
    expect(left).toEqual([]);
    expect(figures.lastMs).toBeLessThan(60_000);
  },
  300_000,
);
