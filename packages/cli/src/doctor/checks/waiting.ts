import { age } from "../../print/time.ts";
import { check, error, type Finding, ok } from "../check.ts";

interface Facts {
  /** The oldest command of each step that no worker has taken, by how long ago it was published. */
  oldest: readonly { step: string; ageMs: number; waiting: number }[];
  maxWaitMs: number;
}

/** How long commands wait for a worker. */
export const waiting = check<Facts>({
  name: "waiting",

  async look({ jsm, subjects, consumers, list, maxWaitMs, now, offset }) {
    const stream = subjects.streamName("COMMANDS");
    const infos = new Map((await consumers("COMMANDS")).map((info) => [info.name, info]));
    const stored = await list("COMMANDS", `${subjects.namespace}.command.>`);
    const steps = new Set([...stored.keys()].flatMap((subject) => subjects.parse(subject)?.step ?? []));
    const oldest = await Promise.all(
      [...steps].map(async (step) => {
        const info = infos.get(subjects.stepConsumer(step));
        if (info?.num_pending === 0) return [];
        const seq = (info?.delivered.stream_seq ?? 0) + 1;
        const first = await jsm.streams.getMessage(stream, {
          seq,
          next_by_subj: subjects.all.commandsOfStep(step),
        } as never);
        if (!first) return [];
        const ageMs = now() + (offset?.ms ?? 0) - first.time.getTime();
        return [{ step, ageMs, waiting: info?.num_pending ?? 1 }];
      }),
    );
    return { oldest: oldest.flat(), maxWaitMs };
  },

  judge({ oldest, maxWaitMs }): Finding[] {
    const late = oldest.filter(({ ageMs }) => ageMs > maxWaitMs);
    if (late.length > 0)
      return late.map(({ step, ageMs, waiting }) =>
        error(
          `step ${step}`,
          `the oldest command that no worker has taken is ${age(ageMs)} old, of ${waiting}`,
          "Start more workers, raise the concurrency of the step, or look at why its attempts take so long (stepstream queue).",
        ),
      );
    const [longest] = [...oldest].sort((a, b) => b.ageMs - a.ageMs);
    return [
      ok(
        "waiting",
        longest
          ? `the oldest command (${longest.step}) waits for ${age(Math.max(0, longest.ageMs))}`
          : "no command waits for a worker",
      ),
    ];
  },
});
