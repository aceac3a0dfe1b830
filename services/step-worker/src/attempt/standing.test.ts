import type { AttemptRecord, InboxMessage, RunStep } from "@stepstream/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explained, isSuspect, type Recorded, settles, standing } from "./standing.ts";

const command = {
  run: "r",
  step: "s",
  slot: 7,
  attempt: 1,
  retry: { maxAttempts: 4, initialMs: 0, factor: 1, maxMs: 0, jitter: "none" },
} as RunStep;

/**
 * Records, spelled: `2!` attempt 2 failed, `2.` it was the last, `2~` it failed and waits for two minutes,
 * `2?` heartbeat of attempt 2, `2<` handed back, `2a` started alone, `2aaa` for the third time in a row, `x` unreadable.
 * `@5` after any: the deliveries up to the fifth are accounted for.
 */
function records(spelled: string, storedAt = 0): Recorded[] {
  const words = spelled.split(" ").filter(Boolean);
  return words.map((word, i) => ({ seq: 10 + i, at: storedAt, record: counted(word) }));
}
function counted(spelled: string): AttemptRecord | undefined {
  const [word = "", explained] = spelled.split("@");
  const known = record(word);
  return known && { ...known, ...(explained && { explained: Number(explained) }) };
}
function record(word: string): AttemptRecord | undefined {
  if (word === "x") return undefined;
  const head = { v: 1, slot: 7, step: "s", attempt: Number.parseInt(word, 10), details: word } as const;
  const error = { name: "Error", code: "ERROR", message: "m" };
  switch (word.at(-1)) {
    case "!":
      return { ...head, type: "AttemptFailed", error, delayMs: 5 };
    case ".":
      return { ...head, type: "AttemptFailed", error };
    case "~":
      return { ...head, type: "AttemptFailed", error, delayMs: 120_000 };
    case "<":
      return { ...head, type: "AttemptHeartbeat", handedBack: true };
    case "a":
      return { ...head, type: "AttemptHeartbeat", alone: word.length - 1 };
    default:
      return { ...head, type: "AttemptHeartbeat" };
  }
}
function stands(spelled: string, { deliveries = 2, base = 1, now = 1_000 } = {}): string {
  const at = standing({ ...command, attempt: base }, deliveries, records(spelled), now);
  const how = at.next === "postpone" ? ` after ${at.delayMs}` : isSuspect(at) ? " alone" : "";
  return `${at.next} ${at.attempt}${how}`;
}

describe("where a slot with four attempts stands when its command comes again", () => {
  it.each<[string, string, string]>([
    ["nothing on record: the first attempt, again", stands(""), "run 1"],
    ["a failed attempt: the next", stands("1!"), "run 2"],
    ["a heartbeat: its process died, the same attempt (S2)", stands("1! 2?"), "run 2"],
    ["handed back: the same attempt", stands("1! 2<"), "run 2"],
    ["all attempts failed: only StepFailed is missing (S3)", stands("4!"), "fail 5"],
    ["a failure without a wait was the last (S3)", stands("2."), "fail 3"],
    ["a long wait: only RetryLater is missing (S4)", stands("1~"), "postpone 2 after 119000"],
    ["a long wait that is over: the next attempt", stands("1~", { now: 120_000 }), "run 2"],
    ["its command has come: the long wait is done with", stands("1~", { base: 2, deliveries: 1 }), "run 2"],
    ["the command's number counts if the records are behind", stands("", { base: 3 }), "run 3"],
    ["the records count if the command is behind (S1)", stands("1! 2!"), "run 3"],
    ["an unreadable record says nothing", stands("1! x"), "run 2"],
    ["two silent deliveries are accidents", stands("", { deliveries: 3 }), "run 1"],
    ["a third makes a suspect (S5)", stands("", { deliveries: 4 }), "run 1 alone"],
    ["and no number of them does more", stands("", { deliveries: 400 }), "run 1 alone"],
    ["failures are no silence", stands("2!@2", { deliveries: 5 }), "run 3"],
    ["a return is no silence", stands("1<@12", { deliveries: 13 }), "run 1"],
    ["a heartbeat is: its process died all the same", stands("1?", { deliveries: 4 }), "run 1 alone"],
    ["a heartbeat excuses what was excused before", stands("1?@3", { deliveries: 6 }), "run 1"],
    ["of a worker that does not count, failures count", stands("2!", { deliveries: 5 }), "run 3"],
    ["and what comes after them is silence", stands("2!", { deliveries: 6 }), "run 3 alone"],
    ["records of an earlier command do not excuse", stands("2~@9", { base: 3, deliveries: 4 }), "run 3 alone"],
    ["what had died alone is alone again", stands("1a@9", { deliveries: 2 }), "run 1 alone"],
    ["also for a second time", stands("1aa", { deliveries: 6 }), "run 1 alone"],
    ["three starts alone without a record: given up (S6)", stands("1aaa", { deliveries: 7 }), "lost 1"],
    ["a failure ends the row", stands("1aaa 1!@8", { deliveries: 9 }), "run 2"],
  ])("%s", (_sentence, got, expected) => expect(got).toBe(expected));

  it("hands on the details of the last record, and its sequence as the fence", () => {
    expect(standing(command, 2, records("1! 2? 2?"), 0)).toMatchObject({ details: "2?", lastSeq: 12 });
    expect(standing(command, 2, records("1! x"), 0)).toMatchObject({ details: "1!", lastSeq: 11 });
  });
});

describe("what in the inbox leaves nothing to do", () => {
  const at = { slot: 7, step: "s", attempt: 1 };
  it.each<[string, object, boolean]>([
    ["its result", { type: "StepCompleted", ...at }, true],
    ["its failure", { type: "StepFailed", ...at }, true],
    ["its cancellation", { type: "StepCancelled", ...at }, true],
    ["a time-out said by the coordinator", { type: "SlotTimedOut", slot: 7 }, true],
    ["its abandonment", { type: "SlotAbandoned", slot: 7 }, true],
    ["a later attempt under way", { type: "RetryLater", ...at, attempt: 2 }, true],
    ["not the wait that led to this command", { type: "RetryLater", ...at, attempt: 1 }, false],
    ["not another slot's result", { type: "StepCompleted", ...at, slot: 8 }, false],
    ["not a result in another step's name", { type: "StepCompleted", ...at, step: "t" }, false],
    ["not what is about the run", { type: "CancelRequested" }, false],
  ])("%s", (_sentence, message, expected) => expect(settles(message as InboxMessage, command)).toBe(expected));
});

/**
 * Two workers and the log, abstractly: deliveries overlap as they like, processes die between any two steps,
 * and each record is fenced by the one its writer knew of.
 */
describe("whatever fails, dies, freezes and comes again", () => {
  const plan = fc.array(
    fc.record({
      end: fc.constantFrom("fails", "dies", "beats and dies", "is handed back"),
      /** It ends only so many deliveries later: it was frozen. */
      frozenFor: fc.constantFrom(0, 0, 0, 1, 2),
    }),
    { maxLength: 40 },
  );

  it("counts the attempts that failed, each once and in order (S1, S2)", () => {
    fc.assert(
      fc.property(plan, fc.integer({ min: 1, max: 5 }), (deliveries, base) => {
        const log: Recorded[] = [];
        const patient = { ...command, attempt: base, retry: { ...command.retry, maxAttempts: 1_000 } };
        const append = (word: string, fence: number) => {
          if ((log.at(-1)?.seq ?? 0) === fence) log.push({ seq: fence + 1, at: 0, record: record(word) });
        };
        const ends: (() => void)[][] = [];
        deliveries.forEach(({ end, frozenFor }, i) => {
          for (const late of ends[i] ?? []) late();
          const { attempt, lastSeq } = standing(patient, 1, log, 0);
          const word = {
            fails: `${attempt}!`,
            "beats and dies": `${attempt}?`,
            "is handed back": `${attempt}<`,
            dies: "",
          }[end];
          const then = () => word && append(word, lastSeq);
          if (frozenFor === 0) then();
          else ends[i + frozenFor] = [...(ends[i + frozenFor] ?? []), then];
        });
        const failed = log.flatMap(({ record }) => (record?.type === "AttemptFailed" ? [record.attempt] : []));
        expect(failed).toEqual(failed.map((_, i) => base + i));
        expect(standing(patient, 1, log, 0).attempt).toBe(base + failed.length);
        // The last record alone says the same.
        expect(standing(patient, 1, log.slice(-1), 0)).toEqual(standing(patient, 1, log, 0));
      }),
    );
  });

  it("calls a redelivery explained only if every delivery before it left a failure", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), (fails, base) => {
        const count = fails.filter(Boolean).length;
        const last = count > 0 ? record(`${base + count - 1}!`) : undefined;
        const expected = fails.length > 0 && fails.every(Boolean);
        expect(explained({ ...command, attempt: base }, fails.length + 1, last)).toBe(expected);
      }),
    );
  });
});
