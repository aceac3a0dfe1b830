/** Passwords and keys that change while programs are connected. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as dial, nkeyAuthenticator } from "@nats-io/transport-node";
import { createCoordinator } from "@stepstream/coordinator";
import type { ConnectionChange } from "@stepstream/event-log";
import { connectEventLog, fromFile } from "@stepstream/event-log/jetstream";
import { connect } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterEach, describe, expect, it } from "vitest";
import { userKey } from "../support/credentials.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { errand } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

let server: GuardedServer;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await server?.stop();
});

const password = (pass: string) => `authorization { users: [ { user: eva, password: ${pass} } ] }`;

describe.skipIf(noGuardedServer)("a password that is changed, and changed back", () => {
  it("keeps programs trying, which say so, and go on with their runs at once", async () => {
    server = await startGuardedServer(password("old"));
    const url = `nats://eva:old@${server.address}`;
    const env = { NATS_URL: url, STEPSTREAM_NAMESPACE: "rotation" };
    const programs = [
      new Program("coordinator", env),
      new Program("coordinator", env),
      new Program("step-worker", env),
    ] as const;
    ends.push(...programs.map((program) => () => program.end("SIGKILL")));
    await Promise.all(programs.map((program) => program.says(/ runs | is ready/)));
    const client = await connect({ nats: url, namespace: "rotation" });
    ends.push(() => client.close());
    const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => client.start(errand, n)));

    await server.reload(password("new"));
    // By default, nats.js gives up for good after two.
    for (const program of programs) {
      await program.says(/login refused by nats-server .* trying again$/);
      await program.says(/login refused by nats-server .*\([1-9]\d* more since the last\)$/);
    }
    await server.reload(password("old"));

    const backAt = performance.now();
    const results = Promise.all(runs.map((run) => run.result()));
    for (const program of programs) await program.says(/connected to nats-server again/);
    const reconnectedMs = Math.round(performance.now() - backAt);
    expect(await results).toHaveLength(20);
    console.log(`connected again after ${reconnectedMs} ms, ended after ${Math.round(performance.now() - backAt)} ms`);
    expect(reconnectedMs).toBeLessThan(10_000);
    for (const program of programs) expect(program.child.exitCode).toBeNull();
  });

  it("is refused at once to a program that starts meanwhile, with exit code 1", async () => {
    server = await startGuardedServer(password("new"));
    const program = new Program("coordinator", { NATS_URL: `nats://eva:old@${server.address}` });
    await program.says(/Authorization Violation/);
    expect(await program.ended).toBe(1);
  });
});

describe.skipIf(noGuardedServer)("a password that is changed in a context", () => {
  it("is read again at each login", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stepstream-login-"));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    server = await startGuardedServer(password("first"));
    await mkdir(join(folder, "nats", "context"), { recursive: true });
    const context = (pass: string) =>
      writeFile(
        join(folder, "nats", "context", "shop.json"),
        JSON.stringify({ url: server.address, user: "eva", password: pass }),
      );
    await context("first");
    const env = { XDG_CONFIG_HOME: folder, NATS_CONTEXT: "shop", NATS_URL: "", STEPSTREAM_NAMESPACE: "context" };
    const program = new Program("coordinator", env);
    ends.push(() => program.end("SIGKILL"));
    await program.says(/ runs /);
    await server.reload(password("second"));
    await program.says(/login refused by nats-server/);
    await context("second");
    await program.says(/connected to nats-server again/);
  });
});

describe.skipIf(noGuardedServer)("a key in a file", () => {
  it("is read again at each login; a file that cannot be read ends nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stepstream-login-"));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    const [first, second] = [userKey(), userKey()];
    const users = ({ publicKey }: { publicKey: string }) => `authorization { users: [ { nkey: ${publicKey} } ] }`;
    const file = join(folder, "key.nk");
    await writeFile(file, first.seed);
    server = await startGuardedServer(users(first));
    const options = { servers: server.address, authenticator: nkeyAuthenticator(fromFile(file)) };
    const log = await connectEventLog({ nats: options, namespace: "keys" });
    ends.push(() => log.close());
    const changes: ConnectionChange[] = [];
    log.onConnection!((change) => changes.push(change));

    await rm(file);
    await server.reload(users(second));
    await expect
      .poll(() => changes.filter(({ state }) => state === "refused").length, { timeout: 10_000 })
      .toBeGreaterThan(2);
    await writeFile(file, second.seed);
    await expect.poll(() => changes.at(-1)?.state, { timeout: 10_000 }).toBe("up");
    await log.append(log.subjects.inboxFrom("client", "r1"), "{}");
  });
});

describe.skipIf(noGuardedServer)("a connection that ends for good", () => {
  const given = async () => {
    const nc = await dial({ servers: server.address, user: "eva", pass: "old" });
    ends.push(() => nc.close());
    return nc;
  };

  it("is replaced by a coordinator, and stops a worker, which says so", async () => {
    server = await startGuardedServer(password("old"));
    const happened: string[] = [];
    const onEvent = (event: { type: string; state?: unknown }) => {
      happened.push(event.type === "connection" ? `${event.type} ${event.state}` : event.type);
    };
    const [forCoordinator, forWorker] = [await given(), await given()];
    const bus = { namespace: "closed", onEvent };
    const coordinator = await createCoordinator({ ...bus, nats: forCoordinator, workflows: [errand] }).start();
    ends.push(() => coordinator.stop());
    await forCoordinator.close();
    await expect.poll(() => happened, { timeout: 10_000 }).toContain("restarted");
    await expect.poll(() => coordinator.partitions.length, { timeout: 10_000 }).toBe(16);
    expect(happened).toContain("connection closed");

    happened.length = 0;
    const worker = createWorker({ ...bus, nats: forWorker });
    worker.gates();
    await worker.start();
    await forWorker.close();
    await expect.poll(() => happened, { timeout: 10_000 }).toContain("connection closed");
    await worker.stop();
  });

  it("rejects what a client waits for", async () => {
    server = await startGuardedServer(password("old"));
    const nc = await given();
    const client = await connect({ nats: nc, namespace: "closed" });
    ends.push(() => client.close());
    const run = await client.start(errand, 1);
    const result = run.result();
    await nc.close();
    const over = { code: "NOT_RUNNING", message: expect.stringContaining("closed for good") };
    await expect(result).rejects.toMatchObject(over);
    await expect(client.start(errand, 2)).rejects.toMatchObject(over);
  });
});
