/** `doctor` on stores that are full: by a limit of a stream, an account, the server, or because the disk does not take more. */
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterEach, describe, expect, it } from "vitest";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../../support/guarded.ts";
import { doctor, fillDisk, SECONDS_MS } from "./scene.ts";

const NAMESPACE = "shop";
const KIB = 1_024;

let server: GuardedServer;
let nc: NatsConnection;
afterEach(async () => {
  await nc?.close();
  await server?.stop();
});

/** A server with a namespace, and its monitoring port. */
async function start(config = "", jetstream = ""): Promise<void> {
  server = await startGuardedServer(`http: "127.0.0.1:-1"\n${config}`, jetstream);
  nc = await connect({ servers: server.address });
  await (await connectEventLog({ nats: nc, namespace: NAMESPACE, partitions: 2 })).close();
}

const look = (args = "") => doctor(server.address, NAMESPACE, `--accept durability coordinators ${args}`);
/** Attempts of a run that no process knows. */
const store = (bytes: number) =>
  nc.request(`${NAMESPACE}.attempts.0.nobody.1`, "x".repeat(bytes), { timeout: 2_000 }).then(
    (answer) => answer.json<{ error?: { description: string } }>().error?.description ?? "stored",
    (error: Error) => error.message,
  );

/** Until not even a small message fits. */
async function fill(): Promise<void> {
  for (const bytes of [512 * KIB, 64 * KIB, 8 * KIB, KIB, 1]) while ((await store(bytes)) === "stored");
}

describe.skipIf(noGuardedServer)("a full store is found: a message is really stored and removed", () => {
  it("a stream at its max_bytes", async () => {
    await start();
    expect(await look()).toMatchObject({ code: 0, wrong: [] });
    const jsm = await jetstreamManager(nc);
    const stream = `${NAMESPACE}_EVENTS`;
    await store(20 * KIB);
    await jsm.streams.update(stream, { max_bytes: (await jsm.streams.info(stream)).state.bytes + 10 });

    const { code, wrong, tookMs } = await look();
    expect(code).toBe(1);
    expect(wrong).toMatchObject([
      { check: "streams", about: `stream ${stream}`, seen: "100 % of its max_bytes" },
      {
        check: "storage",
        about: `storage of ${stream}`,
        seen: expect.stringContaining("maximum bytes exceeded (10077)"),
      },
    ]);
    expect(wrong[1]!.todo).toContain("Raise max_bytes");
    expect(tookMs).toBeLessThan(SECONDS_MS);
    await jsm.streams.update(stream, { max_bytes: -1 });
    expect(await look()).toMatchObject({ code: 0, wrong: [] });
  });

  it("a server at its max_file_store", async () => {
    await start("", "max_file_store: 2MB");
    await fill();

    const { code, wrong } = await look(`--monitor ${server.monitor}`);
    expect(code).toBe(1);
    expect(wrong).toMatchObject([
      { check: "health", seen: expect.stringMatching(/% of its max_file_store \(2\.0 MiB\)$/) },
      ...["COMMANDS", "DEAD", "EVENTS"].map(() => ({ check: "storage" })),
      ...[{ check: "storage" }, { check: "storage" }],
    ]);
    for (const { check, seen, todo } of wrong)
      if (check === "storage") {
        expect(seen).toMatch(/a message was not stored: .*resource.* \(100(23|47)\)$/);
        expect(todo).toContain("Raise max_file_store");
      }
  });

  it("an account at its limits of bytes and of consumers", async () => {
    const account = (limits: string) =>
      `accounts { A { jetstream: { ${limits} }, users: [ { user: a, password: a } ] } }\nno_auth_user: a`;
    await start(account("max_file: 4MB"));
    await fill();
    const full = await look();
    expect(full.code).toBe(1);
    expect(full.wrong).toContainEqual(
      expect.objectContaining({ check: "account", seen: expect.stringMatching(/% of the 4\.0 MiB that it may store/) }),
    );
    expect(full.wrong.filter(({ check }) => check === "storage")).toHaveLength(5);
    expect(full.wrong.find(({ check }) => check === "storage")!.todo).toContain("Raise max_file of the account");

    await server.reload(`http: "127.0.0.1:-1"\n${account("max_consumers: 1")}`);
    const jsm = await jetstreamManager(nc);
    await jsm.consumers.add(`${NAMESPACE}_EVENTS`, { durable_name: "one", ack_policy: "explicit" });
    const { code, wrong } = await look();
    expect(code).toBe(1);
    expect(wrong).toMatchObject([
      {
        check: "account",
        seen: "it has all of the 1 consumers that it may have",
        todo: expect.stringContaining("Raise"),
      },
    ]);
  });
});

describe.skipIf(noGuardedServer || process.platform !== "linux")("a disk that does not take more", () => {
  it("is found by the probe, and its reason by the monitoring port", async () => {
    await start();
    await store(4 * KIB);
    expect(await fillDisk(server.pid, 5 * KIB)).toBe(true);
    // The first that does not fit gets no answer, as all after it.
    while ((await store(2 * KIB)) === "stored");

    const { code, wrong, tookMs } = await look(`--monitor ${server.monitor}`);
    expect(code).toBe(1);
    const [health] = wrong.filter(({ check }) => check === "health");
    expect(health!.seen).toContain("write error");
    expect(health!.todo).toContain("restart this nats-server");
    const storage = wrong.filter(({ check }) => check === "storage");
    expect(storage).toContainEqual(
      expect.objectContaining({
        about: `storage of ${NAMESPACE}_EVENTS`,
        seen: expect.stringContaining("a message was not stored, and nats-server does not say why"),
        todo: expect.stringContaining("restart nats-server"),
      }),
    );
    expect(tookMs).toBeLessThan(SECONDS_MS);
    // Room alone does not help.
    expect(await fillDisk(server.pid, "unlimited")).toBe(true);
    expect((await look()).wrong.map(({ check }) => check)).toContain("storage");
  });
});

describe.skipIf(noGuardedServer)("the probe", () => {
  it("removes what an earlier one left behind, once no doctor can need it", async () => {
    await start();
    const jsm = await jetstreamManager(nc);
    const subjects = ["attempts", "command", "timer", "dead", "blob"].map((kind) => `${NAMESPACE}.${kind}.+doctor.x`);
    for (const subject of subjects) await nc.request(subject, "");
    const left = async () => {
      let messages = 0;
      for await (const { state } of jsm.streams.list()) messages += state.messages;
      return messages;
    };
    const { all } = await look();
    expect(await left()).toBe(subjects.length);
    expect(all.find(({ check }) => check === "dead-letters")).toMatchObject({ level: "ok" });
    const again = async () => {
      await look();
      return left();
    };
    await expect.poll(again, { interval: 1_000 }).toBe(0);
  });
});
