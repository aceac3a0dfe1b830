/** `queue`, `dead`, on a real server. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { breaking, holding, type Scene, setScene, sum } from "./scene.ts";

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
      subjects_filter: `${subject}.*.${run.id}`,
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
