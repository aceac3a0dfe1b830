/** `doctor` on a namespace with nothing wrong, and what it refuses. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { approval, holding, type Scene, setScene } from "../scene.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await setScene();
});
afterAll(() => scene?.stop());

const json = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

describe("doctor", () => {
  it("finds nothing wrong with a healthy namespace, and leaves nothing behind", async () => {
    const nc = await connectNats({ servers: scene.server.url });
    const jsm = await jetstreamManager(nc);
    const stored = async () => {
      const subjects: Record<string, number> = {};
      for await (const { config } of jsm.streams.list())
        Object.assign(subjects, (await jsm.streams.info(config.name, { subjects_filter: ">" })).state.subjects);
      return subjects;
    };
    // A timer of an hour and a command in progress: what would be lost by a purge that was only meant to be tried.
    const [waits, holds] = [await scene.client.start(approval, { what: "x" }), await scene.client.start(holding, {})];
    const kinds = async () => new Set(Object.keys(await stored()).map((subject) => subject.split(".")[1]));
    await expect.poll(kinds).toEqual(new Set(["inbox", "journal", "timer", "command"]));
    const before = await stored();
    const { code, out } = await scene.run("doctor --accept durability");
    expect(await stored()).toEqual(before);
    expect(out).toMatch(/^✓ server: nats-server 2\./m);
    expect(out).toMatch(
      /^✓ permissions: this user may do what these do: client, worker, coordinator, viewer, operator$/m,
    );
    expect(out).toMatch(/^✓ storage: each stream stores and removes a message, in \d+ ms or less$/m);
    expect(out).toContain("- durability: one replica, how often the server syncs to disk is not known");
    expect(out).toContain("approval@1, breaking@1, holding@1, parent@1, sum@1");
    expect(out).toMatch(/0 wrong, \d to think about, 1 accepted\n$/);
    expect(out).toMatch(/^✓ causes: all that 2 live runs wait for is stored$/m);
    expect(code).toBe(0);
    scene.release();
    await holds.result();
    await waits.terminate();
    await nc.close();
  });

  it("takes one replica for an error, unless it is told to accept that", async () => {
    const { code, out } = await scene.run("doctor --json");
    const wrong = json(out).filter(({ level }) => level === "error");
    expect(wrong).toMatchObject([{ check: "durability", todo: expect.stringContaining("--accept durability") }]);
    expect(code).toBe(1);
  });

  it.each([
    ["--accept everything", 'Invalid --accept "everything". Use one of server, health, account,'],
    ["--role king", 'Invalid --role "king". Use one of client, worker, coordinator, viewer, operator.'],
    ["--monitor 8222", 'Invalid --monitor "8222". Use a URL such as http://127.0.0.1:8222.'],
    ["--max-wait 5x", "Invalid"],
  ])("refuses %s", async (args, message) => {
    const { code, err, out } = await scene.run(`doctor ${args}`);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(message);
  });

  it("finds what an operator has done to a stream, and that nobody is up", async () => {
    const other = await setScene();
    await other.worker.stop();
    await other.coordinator.stop();
    const nc = await connectNats({ servers: other.server.url });
    const jsm = await jetstreamManager(nc);
    await jsm.streams.update(`${other.namespace}_EVENTS`, { max_age: 3_600e9 });
    await jsm.streams.delete(`${other.namespace}_DEAD`);
    const { code, out } = await other.run("doctor --json");
    expect(code).toBe(1);
    const errors = json(out).filter(({ level }) => level === "error");
    expect(errors.map(({ about }) => about)).toEqual(
      expect.arrayContaining([`stream ${other.namespace}_EVENTS`, `stream ${other.namespace}_DEAD`, "coordinators"]),
    );
    for (const { todo } of errors) expect(todo).toMatch(/\.$/);
    await nc.close();
    await other.stop();
  });
});
