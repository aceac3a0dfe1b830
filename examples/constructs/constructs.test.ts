/** Each construct is played on a real nats-server, and what it promises is looked for in what happened. */

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  DeclaredError,
  StepError,
  TimeoutError,
  WorkflowCancelledError,
  WorkflowTerminatedError,
} from "@stepstream/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../../test/support/nats.ts";
import { onStage, type Stage } from "../practices/stage.ts";
import * as approval from "./approval.ts";
import * as booking from "./booking.ts";
import * as cancel from "./cancel.ts";
import * as children from "./children.ts";
import { CONSTRUCTS } from "./constructs.ts";
import * as determinism from "./determinism.ts";
import * as longLived from "./long-lived.ts";
import * as races from "./races.ts";
import * as starting from "./starting.ts";
import * as timers from "./timers.ts";
import * as versions from "./versions.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

/** Plays it, and checks that it has something to say to people, too. */
async function play<T>(construct: { play: (stage: Stage) => Promise<T> }): Promise<T> {
  const lines: string[] = [];
  const facts = await onStage(server.url, construct.play, (line) => lines.push(line));
  expect(lines.length).toBeGreaterThan(1);
  return facts;
}

describe("the constructs", () => {
  it("approval: signals are kept and count once, queries write nothing, updates are answered or refused with a cause", async () => {
    const facts = await play(approval);
    expect(facts.before).toEqual({ cents: 250_000, approvedBy: [] });
    expect(facts.amended).toEqual({ cents: 80_000 });
    expect(facts.eva).toBe(true);
    expect(facts.refusal).toMatchObject({
      code: "UPDATE_REFUSED",
      cause: { name: "TooLate", code: "TOO_LATE", data: { data: { by: "eva" } } },
    });
    expect(facts.unfit).toBe("INVALID_INPUT");
    expect(facts.unknown).toBe("SIGNAL_REFUSED");
    expect(facts.result).toEqual({ cents: 80_000, approvedBy: ["eva", "kim"] });
    expect(facts.after).toEqual(facts.result);
    expect(facts.late).toBe("RUN_CLOSED");
    expect(facts.nobody).toEqual({ cents: 300, approvedBy: [] });
    // Eva's, which was sent twice, and kim's.
    expect(facts.accepted).toBe(2);
  });

  it("booking: what was done is undone last first, once, after all has settled; one that fails is given up alone", async () => {
    const { good, failed, cancelled, ruined } = await play(booking);
    const booked = ["booked flight", "booked car", "booked room in Rome", "booked breakfast in Rome"];
    const undone = ["gave back room in Rome", "gave back flight"];
    expect(good).toEqual({ result: "paid", status: "completed", log: booked });
    expect(failed).toMatchObject({ status: "failed", log: [...booked, ...undone] });
    expect(failed.result).toBeInstanceOf(StepError);
    expect(failed.result).toMatchObject({ step: "pay", cause: { code: "CardDeclined" } });
    expect(failed.given).toEqual(["the car is far away (attempt 2)"]);
    expect(cancelled).toMatchObject({ status: "cancelled", log: [...booked, "stopped paying", ...undone] });
    expect(ruined).toMatchObject({
      status: "failed",
      log: [...booked.slice(0, 2), "booked room in ruins", "gave back room in ruins", "gave back flight"],
      result: { code: "CHILD_FAILED", child: "ruined-stay", cause: { code: "STEP_FAILED" } },
    });
  });

  it("children: stopped as their policy says; an id has one parent; one that is stopped alone does not cancel its parent", async () => {
    const facts = await play(children);
    expect(facts.result).toBe("the frost has come");
    expect(facts.statuses).toEqual({ cancel: "cancelled", terminate: "terminated", abandon: "running" });
    expect(facts.tidied).toEqual(["estate-cancel", "only-one"]);
    expect(facts.stranger).toMatchObject({ child: "estate-abandon", cause: { code: "RUN_ALREADY_EXISTS" } });
    expect(facts.bereft).toMatchObject({ child: "only-one", cause: { code: "WORKFLOW_CANCELLED" } });
    expect(facts.status).toBe("failed");
    expect(facts.abandoned).toBe("a hole");
    expect(facts.stopped).toEqual(expect.arrayContaining(["estate-cancel", "estate-terminate", "only-one"]));
  });

  it("cancel: clean-up goes on, up to its deadline; who does not listen is fenced; scopes and losers are given up", async () => {
    const facts = await play(cancel);
    expect(facts.parts).toMatchObject({
      titles: "none (scope)",
      first: "kiss",
      spare: expect.stringContaining("nobody laughs"),
    });
    expect(facts.given).toEqual(expect.arrayContaining(["stopped endless titles", "stopped endless chase"]));
    expect(facts.cleaned.status).toBe("cancelled");
    expect(facts.cleaned.error).toBeInstanceOf(WorkflowCancelledError);
    expect(facts.cleanUp).toEqual(["stopped storm", "swept up after storm"]);
    expect(facts.abandoned.status).toBe("cancelled");
    expect(facts.late).toMatchObject({ decided: 0, result: { message: { slot: 1, output: { scene: "deaf storm" } } } });
    expect(facts.overdue.status).toBe("terminated");
    expect(facts.overdue.error).toBeInstanceOf(WorkflowTerminatedError);
    expect(facts.terminated).toMatchObject({ status: "terminated", swept: [] });
  });

  it("timers: never early, though coordinators come and go; a year is no process", async () => {
    const { brief, waited, due, sold } = await play(timers);
    expect(brief.until - brief.from).toBeGreaterThanOrEqual(10);
    expect(waited.until - waited.from).toBeGreaterThanOrEqual(4_000);
    expect(due.fireAt - due.at).toBe(365 * 24 * 3_600_000);
    expect(sold).toBe("sold to kim");
  });

  it("races: branches have names, a lost wait takes nothing, answers are not swapped, an update ends first", async () => {
    const { answers, rounds, closed, grams } = await play(races);
    expect(answers).toEqual(["a: amber", "b: blue"]);
    expect(rounds[0]).toBe("tick");
    expect(rounds.filter((name) => name !== "tick")).toEqual(["eva", "max"]);
    expect(closed).toBe("in time");
    expect(grams).toBe(1);
  });

  it("long-lived: a life's history is short, and nothing that it was told is lost on the way", async () => {
    const { first, history, account, last, carried } = await play(longLived);
    expect(first).toMatchObject({ life: 1 });
    expect(history.inbox).toBe(46);
    expect(account).toEqual({ kWh: (44 * 45) / 2, cents: 30 * ((39 * 40) / 2), life: 5 });
    expect(carried).toHaveLength(4);
    expect(carried[0]).toBe(35);
    expect(last.life).toBe(5);
    expect(last.length).toBeLessThan(first.length);
  });

  it("versions: checked before a deploy; patched for some, a version for others; each run gets to who knows it", async () => {
    const { why, fits, check, results, versions: of, handedOn } = await play(versions);
    expect(why).toMatchObject({ code: "NON_DETERMINISM" });
    expect(fits).toBeUndefined();
    expect(check).toBe("1 fit · 0 would not go on");
    expect(results).toEqual([
      "a box with books", // it had packed before
      "a box with tea, 700 g",
      ...["cups", "pots", "pans", "lids"].map((what) => `a box with ${what}, 700 g`),
    ]);
    expect(of).toEqual([1, 1, 2, 2, 2, 2]);
    for (const run of handedOn) expect(["early", "late", "cups", "pots", "pans", "lids"]).toContain(run);
  });

  it("starting: an id has one run; later, limited, by a signal, by the hundred, or one step alone", async () => {
    const facts = await play(starting);
    expect(facts.taken.code).toBe("RUN_ALREADY_EXISTS");
    expect(facts.attached.id).toBe("letter-1");
    expect(facts.going.code).toBe("RUN_STILL_GOING");
    expect(facts.replaced).toMatch(/^sent to eva/);
    expect(facts.again).toMatch(/^sent to kim/);
    expect(facts.waited).toBeGreaterThanOrEqual(500);
    expect(facts.tooLong).toBeInstanceOf(TimeoutError);
    expect(facts.tooLong.kind).toBe("run");
    expect(facts.things.toSorted()).toEqual(["apple", "bread", "pear"]);
    expect(facts.outcomes.map(({ id }) => id)).toEqual(Array.from({ length: 500 }, (_, i) => `guest-${i}`));
    expect(facts.failed).toMatchObject([{ id: "guest-77", error: { code: "INVALID_INPUT" } }]);
    expect(facts.last).toBe("sent to guest 499 (guest-499/1)");
    expect(facts.job).toBe("sent to rob (job-1/1)");
    expect(facts.lost.cause).toBeInstanceOf(DeclaredError);
  });

  it("determinism: native answers come from the history; the rest is refused; what is given is frozen", async () => {
    const { before, after, result, fault, refused, frozen } = await play(determinism);
    expect(after).toEqual(before);
    expect(result).toEqual(before);
    expect(fault).toBeUndefined();
    expect(refused).toMatchObject({ code: "FORBIDDEN_IN_WORKFLOW", message: expect.stringContaining("Use w.sleep()") });
    expect(frozen.name).toBe("TypeError");
  });
});

describe("the command", () => {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [`${folder}main.ts`, ...args]);

  it("lists them all without a name: one for each file of the folder that plays", async () => {
    const { stdout } = await run();
    const listed = [...stdout.matchAll(/^ {2}(\S+) {2,}\S/gm)].map(([, name]) => name);
    const files = (await readdir(folder)).map((file) => file.replace(/\.ts$/, ""));
    const plays = files.filter((file) => !file.includes(".") && file !== "main" && file !== "constructs");
    expect(listed.toSorted()).toEqual(plays.toSorted());
    expect(listed).toEqual(Object.keys(CONSTRUCTS));
    expect((await run("--help")).stdout).toBe(stdout);
  });

  it("plays what it is given, on a server of its own, and says what the tour says", async () => {
    const { stdout } = await run("approval", "long-lived");
    const tour = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const [, shown] = /\$ node examples\/constructs\/main\.ts approval\n([\s\S]*?)```/.exec(tour)!;
    expect(stdout).toMatch(/^approval: [\s\S]*^long-lived: [\s\S]*the end: 990 kWh/m);
    expect(stdout.slice(0, shown!.length)).toBe(shown);
  });

  it("does not know what it does not know", async () => {
    const failure = await run("sleep-well").catch((error) => error);
    expect(failure).toMatchObject({ code: 2, stderr: 'There is no construct "sleep-well". The list: --help.\n' });
  });
});
