import { check, counted, error, type Finding, ok } from "../check.ts";

interface Facts {
  partitions: number;
  /** Messages that each partition's coordinator has not taken. */
  waiting: readonly { partition: number; messages: number; touched: boolean }[];
}

/** How many messages may wait for a coordinator. */
const BEHIND = 1_000;

/** Whether coordinators keep up with what is sent to runs. */
export const partitions = check<Facts>({
  name: "partitions",

  async look({ subjects, consumers, list }) {
    const infos = new Map((await consumers("EVENTS")).map((info) => [info.name, info]));
    const waiting = await Promise.all(
      Array.from({ length: subjects.partitions }, async (_, partition) => {
        const info = infos.get(`inbox-${partition}`);
        // Only of a partition that never had a coordinator are the messages worth counting.
        const messages = info?.num_pending ?? (await list("EVENTS", subjects.all.inbox(partition))).size;
        return { partition, messages, touched: info !== undefined };
      }),
    );
    return { partitions: subjects.partitions, waiting };
  },

  judge({ partitions, waiting }) {
    const findings: Finding[] = [];
    const untouched = waiting.filter(({ touched, messages }) => !touched && messages > 0);
    if (untouched.length > 0)
      findings.push(
        error(
          "partitions",
          `${untouched.map(({ partition }) => partition).join(", ")} hold messages, and no coordinator takes them`,
          "Start a coordinator.",
        ),
      );
    for (const { partition, messages, touched } of waiting)
      if (touched && messages > BEHIND)
        findings.push(
          error(
            `partition ${partition}`,
            `${counted(messages, "message")} wait for its coordinator`,
            "If that does not shrink, start more coordinators.",
          ),
        );
    if (findings.length > 0) return findings;
    const sum = waiting.reduce((sum, { messages }) => sum + messages, 0);
    return [ok("partitions", `${partitions}, ${sum} messages wait for their coordinator`)];
  },
});
