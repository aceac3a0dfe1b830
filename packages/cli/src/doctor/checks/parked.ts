import { check, error, ok } from "../check.ts";

interface Facts {
  count: number;
  /** Some of them, with the code of why. */
  some: readonly { run: string; code: string }[];
}

const NAMED = 5;

/** Runs that no coordinator that is up can continue. */
export const parked = check<Facts>({
  name: "parked",

  async look({ jsm, subjects, namespace, list }) {
    const all = [...(await list("EVENTS", `${namespace}.parked.>`)).keys()];
    const some = await Promise.all(
      all.slice(0, NAMED).map(async (subject) => {
        const run = subjects.parse(subject)?.run ?? subject;
        const last = await jsm.streams.getMessage(subjects.streamName("EVENTS"), { last_by_subj: subject });
        return { run, code: codeOf(last?.string()) };
      }),
    );
    return { count: all.length, some };
  },

  judge({ count, some }) {
    if (count === 0) return [ok("parked", "no run is parked")];
    const named = some.map(({ run, code }) => `${run}${code && ` (${code})`}`).join(", ");
    return [
      error(
        "parked",
        `${count} ${count === 1 ? "run is" : "runs are"} parked: ${named}${count > some.length ? ` and ${count - some.length} more` : ""}`,
        `stepstream show ${some[0]?.run ?? "<run>"} says why. Correct the code, and they continue by themselves; or terminate them.`,
      ),
    ];
  },
});

/** Whatever stands there: it may be of another version. */
function codeOf(text: string | undefined): string {
  try {
    const { error } = JSON.parse(text ?? "") as { error?: { code?: unknown } };
    return typeof error?.code === "string" ? error.code : "";
  } catch {
    return "";
  }
}
