/** `queue`, `dead`, on a real server. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { fixed, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { breaking, holding, type Scene, setScene, sum } from "./scene.ts";

const page = z.object({ page: z.number() });
const render = step("render", { input: page, output: z.string(), retry: { backoff: fixed("20ms") } });
const rendering = workflow("rendering", { input: page, output: z.string() }, (input, w) => w.run(render, input));

let scene: Scene;
beforeAll(async () => {
  scene = await setScene();
});
afterAll(() => scene?.stop());

const lines = (text: string) => text.split("\n").filter((line) => line !== "");
const json = (text: string) => lines(text).map((line) => JSON.parse(line));

describe("queue", () => {
  it("counts what runs and waits, per step, and tells the age of the oldest", async () => {
    const runs = await Promise.all([1, 2, 3].map(() => scene.client.start(holding, {})));
    const look = async () => json((await scene.run("queue --json")).out).find(({ step }) => step === "hold");
    await expect.poll(async () => (await look())?.running).toBe(3);
    const queue = await look();
    expect(queue).toMatchObject({ waiting: 0, taken: 3, workers: 1, places: 50 });
    expect(Date.now() - Date.parse(queue.oldestAt)).toBeLessThan(30_000);
    const { out, code } = await scene.run("queue");
    expect(code).toBe(0);
    expect(lines(out)[0]).toMatch(
      /^STEP\s+WAITING\s+RUNNING\s+BETWEEN ATTEMPTS\s+OLDEST\s+WORKERS\s+PLACES\s+BREAKER$/,
    );
    expect(out).toMatch(/^hold +0 +3 +0 /m);
    scene.release();
    await Promise.all(runs.map((run) => run.result()));
  });

  it("shows a circuit breaker that is open, and what that means", async () => {
    const run = await scene.client.start(breaking, {});
    const look = () => scene.run("queue");
    await expect.poll(async () => (await look()).out).toContain("open in 1 of 1");
    expect((await look()).out).toContain(`broken: the circuit breaker is open in ${scene.worker.name}`);
    const shown = await scene.run(`show ${run.id}`);
    expect(shown.out).toContain("the CIRCUIT BREAKER is open in 1 of 1 workers: look at what this step calls");
    await run.terminate();
  });

  it("says that no worker does a step", async () => {
    const alone = await setScene();
    await alone.worker.stop();
    await alone.client.start(sum, [1]);
    await expect
      .poll(async () => (await alone.run("queue")).out)
      .toContain("add: 1 command waits, and no worker that is up does this step. Start one.");
    await alone.stop();
  });

  it("is drawn again every second until it is interrupted", async () => {
    const interrupt = new AbortController();
    let looks = 0;
    const { code } = await scene.run("queue --watch --json", {
      signal: interrupt.signal,
      onOut: () => {
        if (++looks === 1) interrupt.abort();
      },
    });
    expect([looks, code]).toEqual([1, 130]);
  });
});

describe("dead", () => {
  it("lists messages that nobody could handle, and shows one whole", async () => {
    const none = await scene.run("dead ls");
    expect(none).toMatchObject({ code: 0, out: "", err: "There are no dead letters.\n" });
    // Something that is no message of ours, in an inbox: from a client with a bug.
    const run = await scene.client.start(holding, {}, { id: "has-a-dead-letter" });
    const nc = await connectNats({ servers: scene.server.url });
    const subject = (await run.history()).length > 0 ? `${scene.namespace}.inbox` : "";
    const jsm = await jetstreamManager(nc);
    const { state } = await jsm.streams.info(`${scene.namespace}_EVENTS`, {
      subjects_filter: `${subject}.*.${run.id}.*`,
    });
    await nc.request(Object.keys(state.subjects!)[0]!, '{"v":1,"type":"Nonsense"}');
    await nc.close();
    await expect.poll(async () => (await scene.run("dead ls --json")).out).not.toBe("");
    const [letter] = json((await scene.run("dead ls --json")).out);
    expect(letter).toMatchObject({ run: run.id, letter: { code: "MALFORMED_MESSAGE" } });
    expect((await scene.run("dead ls --since 1h")).out).toMatch(/SEQ.*\n1 .*has-a-dead-letter.*MALFORMED_MESSAGE/);
    expect((await scene.run("dead ls --since 2020-01-01 --step nothing")).err).toContain("no dead letters");
    const { out } = await scene.run(`dead show ${letter.seq}`);
    expect(out).toContain('"type": "Nonsense"');
    expect(out).toContain("docs/errors.md#malformed_message");
    expect(await scene.run("dead show 999")).toMatchObject({ code: 3, out: "" });
    expect(await scene.run("dead ls --since yesterday")).toMatchObject({ code: 2 });
    scene.release();
    await run.result();
  });
});

describe("dead retry", () => {
  /** A step that has ended its process three times is given up when its command is delivered again. */
  async function loseOne(run: string): Promise<{ seq: number }> {
    const bus = { nats: scene.server.url, namespace: scene.namespace };
    const log = await connectEventLog(bus);
    const record = { v: 1, type: "AttemptHeartbeat", slot: 1, step: "render", attempt: 1, alone: 3 };
    await log.append(log.subjects.attempts(run, 1), JSON.stringify(record), { expectLast: 0 });
    await log.close();
    await expect(scene.client.start(rendering, { page: 1 }, { id: run }).then((one) => one.result())).rejects.toThrow(
      "ended its process 3 times",
    );
    await expect.poll(async () => (await scene.run(`dead ls --run ${run} --json`)).out).not.toBe("");
    return json((await scene.run(`dead ls --run ${run} --json`)).out)[0];
  }

  let worker: Worker;
  let coordinator: Coordinator;
  beforeAll(async () => {
    const bus = { nats: scene.server.url, namespace: scene.namespace };
    coordinator = await createCoordinator({ ...bus, workflows: [rendering] }).start();
    worker = await createWorker({ ...bus, ackWaitMs: 500, logger: { info() {}, warn() {}, error() {} } })
      .handle(render, ({ page }, ctx) => {
        if (!ctx.run.includes("-retry-") && ctx.attempt === 1) throw new Error("tried, and of no matter");
        return `page ${page}`;
      })
      .start();
  });
  afterAll(async () => {
    await worker?.stop({ drainMs: 0 });
    await coordinator?.stop();
  });

  it("starts the run of a step that ended its process again, with the same input, once", async () => {
    const { seq } = await loseOne("lost");
    const first = await scene.run(`dead retry ${seq}`);
    expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^lost-retry-\d+\n$/) });
    const id = first.out.trim();
    expect(await scene.client.get(id).result()).toBe("page 1");
    const again = await scene.run(`dead retry ${seq} --json`);
    expect(json(again.out)).toEqual([{ seq, run: id, of: "lost" }]);
  });

  it("starts nothing where there is nothing to start again, and says why", async () => {
    expect(await scene.run("dead retry 99999")).toMatchObject({
      code: 3,
      err: expect.stringContaining("no dead letter"),
    });
    const { seq } = await loseOne("gone");
    await scene.client.get("gone").delete();
    expect(await scene.run(`dead retry ${seq}`)).toMatchObject({
      code: 3,
      err: expect.stringContaining("no run gone in namespace"),
    });
    const [unreadable] = json((await scene.run("dead ls --run has-a-dead-letter --json")).out);
    expect(await scene.run(`dead retry ${unreadable.seq}`)).toMatchObject({
      code: 5,
      err: expect.stringContaining("and no step's command; nothing was started"),
    });
  });
});
