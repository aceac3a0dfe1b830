import { ago } from "../../print/time.ts";
import { check, error, type Finding, ok, warn } from "../check.ts";
import { isProbe } from "../probe.ts";

interface Facts {
  count: number;
  /** Since the last one was stored, in ms. */
  ageMs: number;
}

/** What is older was seen by the last doctor that ran once a day. */
const NEW_MS = 24 * 3_600_000;

/** Messages that no process could handle. */
export const deadLetters = check<Facts>({
  name: "dead-letters",

  async look({ jsm, subjects, namespace, list, now, offset }) {
    const letters = [...(await list("DEAD", `${namespace}.dead.>`))].filter(([subject]) => !isProbe(subject));
    const count = letters.reduce((sum, [, messages]) => sum + messages, 0);
    if (count === 0) return { count, ageMs: 0 };
    const last = await jsm.streams.getMessage(subjects.streamName("DEAD"), { last_by_subj: `${namespace}.dead.>` });
    return { count, ageMs: now() + (offset?.ms ?? 0) - (last?.time.getTime() ?? 0) };
  },

  judge({ count, ageMs }): Finding[] {
    if (count === 0) return [ok("dead letters", "none")];
    const seen = `${count}, the last ${ago(ageMs)}`;
    const todo = "stepstream dead ls shows them, and why.";
    return [ageMs < NEW_MS ? error("dead letters", seen, todo) : warn("dead letters", seen, todo)];
  },
});
