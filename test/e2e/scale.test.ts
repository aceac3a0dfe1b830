/** The program that measures large runs, many timers and many starts, at a tenth of their size. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const SCALE = new URL("../../bench/scale.ts", import.meta.url).pathname;

describe("large runs, many timers, many starts", () => {
  it("end, are rebuilt, and replay to the same", { timeout: 180_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [SCALE, "--scale", "0.1", "--json"]);
    const figures = JSON.parse(stdout) as ({ what: string } & Record<string, string | number>)[];
    const of = (what: string) => figures.find((figure) => figure.what.trim().startsWith(what))!;
    expect(of("a run of 10000 steps")["steps/s"]).toBeGreaterThan(0);
    expect(of("its signal, taken up and ended").done).toBe(10_000);
    // Each step is a message of the inbox; the journal has one for many of them, at most.
    expect(of("its replay")).toMatchObject({ fault: "undefined" });
    expect(of("its replay").messages).toBeGreaterThan(10_000);
    for (const what of [
      "a fan-out of 1000, 100",
      "1000 starts",
      "10000 runs that sleep for a year",
      "100 lives of 5 steps",
    ])
      expect(of(what), what).toBeDefined();
    console.log(figures.map(({ what, ...figure }) => `${what} ${JSON.stringify(figure)}`).join("\n"));
  });
});
