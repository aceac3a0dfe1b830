import { check, error, type Finding, ok, some, warn } from "../check.ts";

/** Clocks further apart than this make times in logs and traces misleading. */
const SKEW_MS = 1_000;

interface Facts {
  /** This machine's clock, compared with the server's. Absent: not known. */
  here: { aheadMs: number; errorMs: number } | undefined;
  /** The clock of each process, compared with the server's. */
  processes: readonly { name: string; aheadMs: number; errorMs: number }[];
}

const TODO =
  "Run NTP on that machine and on the server's. Time-outs and timers go by the server's clock; times in logs and traces are wrong by as much, and so are schedules that handlers compute.";

/** Whether all clocks agree with the server's. */
export const clocks = check<Facts>({
  name: "clocks",

  async look({ offset, present }) {
    const { coordinators, workers } = await present();
    const named = (kind: string, processes: ReadonlyMap<string, { aheadMs: number | undefined }>) =>
      [...processes].flatMap(([name, { aheadMs }]) =>
        aheadMs === undefined || !offset
          ? []
          : // The message takes one way to the server and one to us; half of an exchange each.
            [{ name: `${kind} ${name}`, aheadMs: aheadMs - offset.ms, errorMs: 4 * offset.errorMs }],
      );
    return {
      here: offset && { aheadMs: -offset.ms, errorMs: offset.errorMs },
      processes: [...named("coordinator", coordinators), ...named("worker", workers)],
    };
  },

  judge({ here, processes }): Finding[] {
    if (!here) return [warn("clocks", "the server's time is not known", "See the findings about streams.")];
    const all = [{ name: "this machine", ...here }, ...processes];
    const wrong = all.filter(({ aheadMs, errorMs }) => Math.abs(aheadMs) - errorMs >= SKEW_MS);
    if (wrong.length > 0) return wrong.map((one) => error(`clock of ${one.name}`, told(one), TODO));
    const [worst] = all.sort((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs));
    return [
      ok(
        "clocks",
        `${some(
          all.map(({ name }) => name),
          3,
        )}: ${told(worst!)}, or less`,
      ),
    ];
  },
});

function told({ aheadMs, errorMs }: { aheadMs: number; errorMs: number }): string {
  const by = `${(Math.abs(aheadMs) / 1000).toFixed(3)} s (±${Math.ceil(errorMs)} ms)`;
  return `${by} ${aheadMs < 0 ? "behind" : "ahead of"} the server`;
}
