/**
 * Promises of the engine that do not hold, because faults were planted in its code: in the run core and in the shell of two
 * coordinators, and in a worker. Whatever does not hold for one run or attempt, all others end as if nothing were.
 */
import type { DeadLetter } from "@stepstream/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene } from "./containment-scene.ts";
import { add, orderly } from "./programs/contained/orderly.ts";
import { doubtful } from "./programs/doubtful.ts";
import { WorkerScene } from "./worker-scene.ts";

let server: TestServer;
let close: (() => Promise<void>) | undefined;
let count = 0;
const namespace = () => `invariants-${process.pid}-${++count}`;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());
afterEach(() => close?.());

const CORE = "services/coordinator/src/run";
const SHELL = "services/coordinator/src/shell";

/** Each fault is for the run of one name. */
const ofCoordinator = [
  {
    run: "uncounted",
    promise: "run R1",
    file: `${CORE}/execution.ts`,
    from: "    if (!slot.purpose) this.holds(--this.openSlots >= 0,",
    to: '    if (this.runId === "uncounted") this.openSlots--;\n    if (!slot.purpose) this.holds(--this.openSlots >= 0,',
  },
  {
    run: "numbered-twice",
    promise: "slot R1",
    file: `${CORE}/execution.ts`,
    from: "    const number = ++this.lastSlot;",
    to: '    if (this.runId === "numbered-twice" && this.lastSlot > 0) this.lastSlot--;\n    const number = ++this.lastSlot;',
  },
  {
    run: "unstored",
    promise: "mailbox A1",
    file: `${SHELL}/journal.ts`,
    from: "      this.upTo = upTo;",
    to: '      if (this.#run !== "unstored") this.upTo = upTo;',
  },
  {
    run: "hasty",
    promise: "mailbox A3",
    file: `${SHELL}/run-actor.ts`,
    from: "    const armed = this.#arm(batch, folded);",
    to: '    if (this.run === "hasty") this.#settleBatch(batch);\n    const armed = this.#arm(batch, folded);',
  },
  {
    run: "beside",
    promise: "journal J2",
    file: `${SHELL}/journal.ts`,
    from: "const stored = ({ seq }: Appended): Written => {",
    to: 'const stored = ({ seq }: Appended): Written => {\n      if (this.#run === "beside") this.lastSeq = seq;',
  },
];

describe("a promise that does not hold in a coordinator", { timeout: 120_000 }, () => {
  it("parks its run with the promise's name, and the other runs end in normal time, also after a restart", async () => {
    const handlers = (worker: any) => worker.handle(add, async (n: number) => n + 1);
    const modules = ["programs/contained/orderly.ts"];
    const scene = new ContainmentScene(server, namespace(), modules, handlers, { faults: ofCoordinator });
    close = () => scene.close();
    await scene.open();
    for (const { run } of ofCoordinator) await scene.start(orderly, {}, run);
    const message = ({ run, promise }: (typeof ofCoordinator)[number]) =>
      new RegExp(`^Promise "${promise}" does not hold for run ${run}[,:].*bug of Stepstream`);
    for (const fault of ofCoordinator)
      expect(await scene.isParked(fault.run, message(fault))).toMatchObject({ code: "INVARIANT_VIOLATED" });
    expect(await (await scene.start(orderly, {}, "beside-them")).result()).toBe(2);
    await scene.othersAreWell();
    await scene.restart();
    for (const fault of ofCoordinator) await scene.isParked(fault.run, message(fault));
    await scene.othersAreWell();
    for (const { run, promise } of ofCoordinator) await scene.canBeRemoved(run, new RegExp(promise));
    scene.coordinatorsAreUp();
  });
});

const WORKER = "services/step-worker/src";
const ofWorker = [
  {
    run: "again",
    promise: "verdict V2",
    input: -1,
    attempt: 2,
    file: `${WORKER}/attempt/verdict.ts`,
    from: "if (attempt >= policy.retry.maxAttempts ||",
    to: 'if ((attempt >= policy.retry.maxAttempts && policy.run !== "again") ||',
  },
  {
    run: "endless",
    promise: "deadline T1",
    input: 1,
    attempt: 1,
    file: `${WORKER}/attempt/deadline.ts`,
    from: "  return scheduledAt + totalMs <= now + attemptMs",
    to: '  if (arguments[0].run === "endless") return { at: Infinity, kind: "total", ms: 0 };\n  return scheduledAt + totalMs <= now + attemptMs',
  },
  {
    run: "counted-again",
    promise: "standing S1",
    input: -1,
    attempt: 1,
    file: `${WORKER}/attempt/standing.ts`,
    from: "failed ? record.attempt + 1 : record.attempt);",
    to: 'failed && command.run !== "counted-again" ? record.attempt + 1 : record.attempt);',
  },
];
/** The first outcome stands: the fault is only reported. */
const twice = {
  file: `${WORKER}/shell/report.ts`,
  from: '  return conclude(job, attempt, text, { type: "completed"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code.
  to: '  if (job.where.run === "twice") return conclude(job, attempt, `${head}}`, { type: "completed", ...job.where }).then(() => conclude(job, attempt, text, { type: "completed", ...job.where }));\n  return conclude(job, attempt, text, { type: "completed"',
};
/** Neither acked nor given back. */
const forgotten = {
  file: `${WORKER}/shell/work.ts`,
  from: "    await handle(job);",
  to: '    if (job.where.run !== "forgotten" || held.delivery.deliveries > 1) await handle(job);',
};

describe("a promise that does not hold in a worker", { timeout: 60_000 }, () => {
  it("fails its step with the promise's name, and the worker goes on with all others", async () => {
    const scene = new WorkerScene(server.url, namespace());
    close = () => scene.close();
    await scene.open();
    const program = await scene.program("doubtful.ts", [...ofWorker, twice, forgotten]);
    for (const { run, input } of ofWorker) await scene.command(doubtful, run, input);
    for (const run of ["well-1", "well-2", "twice", "forgotten"]) await scene.command(doubtful, run, 7);
    for (const { run, promise, attempt } of ofWorker) {
      const message = expect.stringMatching(
        `^Promise "${promise}" does not hold for run ${run}, step doubtful, slot 1, attempt ${attempt}: .*bug of Stepstream`,
      );
      const error = { code: "INVARIANT_VIOLATED", message };
      expect(await scene.outcome(run)).toMatchObject({ type: "StepFailed", error });
      expect(await scene.dead("doubtful", run)).toMatchObject({ error } satisfies Partial<
        Record<keyof DeadLetter, unknown>
      >);
    }
    for (const run of ["well-1", "well-2"]) expect(await scene.outcome(run)).toMatchObject({ output: 7 });
    // Its first outcome stands, and the second is no message.
    await program.says("does not hold for run twice, step doubtful, slot 1, attempt 1: it has an outcome");
    expect((await scene.inbox("twice")).map(({ type }) => type)).toEqual(["StepCompleted"]);
    // Left without a word, it comes again.
    await program.says("does not hold for run forgotten, step doubtful, slot 1: it is over");
    expect(await scene.outcome("forgotten")).toMatchObject({ output: 7 });
    await expect.poll(() => scene.left()).toBe(0);
    expect(await program.end("SIGTERM")).toBe(0);
  });
});
