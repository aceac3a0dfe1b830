/**
 * Handlers that compute for longer than their commands' ack wait, which block the event loop: two real worker processes, the
 * test plays the coordinator. The ack wait is 2 s; the second worker is there before it is over.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { credsAuthenticator, connect as dial, nkeyAuthenticator } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { certificates, operator, userKey } from "../support/credentials.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { computes, waits } from "./programs/steps.ts";
import { WorkerScene } from "./worker-scene.ts";

const PROGRAM = fileURLToPath(new URL("programs/computing-worker.ts", import.meta.url));

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

type Line = {
  ready?: true;
  started?: string;
  at: number;
  event?: string;
  error?: string;
  ms?: number;
  over?: boolean;
  state?: string;
};

/** A process with workers, and what it has said. */
class Computer {
  readonly child: ChildProcess;
  readonly lines: Line[] = [];

  constructor(scene: WorkerScene, how: string, { workers = 1, env = {} }: { workers?: number; env?: object } = {}) {
    const { nats, namespace } = scene.bus;
    this.child = spawn(process.execPath, [PROGRAM, how, `${workers}`], {
      env: { ...process.env, NATS_URL: nats, STEPSTREAM_NAMESPACE: namespace, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    createInterface(this.child.stdout!).on("line", (line) => {
      if (line.startsWith("{")) this.lines.push({ at: performance.now(), ...JSON.parse(line) });
    });
    ends.push(() => this.child.kill("SIGKILL"));
  }

  async says(like: (line: Line) => unknown, timeout = 15_000): Promise<Line> {
    await expect.poll(() => this.lines.some(like), { timeout, interval: 20 }).toBe(true);
    return this.lines.find(like)!;
  }

  starts(run: string): Line[] {
    return this.lines.filter(({ started }) => started === run);
  }
}

let scenes = 0;
async function openScene(nats = server.url): Promise<WorkerScene> {
  const scene = new WorkerScene(nats, `keep-${process.pid}-${++scenes}`);
  await scene.open();
  ends.push(() => scene.close());
  return scene;
}

/**
 * One computes for 7 s beside a neighbour that waits for 9 s; more are published when it has begun. The other process is ready
 * from the first second on.
 */
async function computeBesideOthers(scene: WorkerScene, how: string, env: object = {}) {
  const first = new Computer(scene, how, { env });
  await first.says(({ ready }) => ready);
  await scene.command(waits, "neighbour", 9_000);
  await first.says(({ started }) => started === "neighbour");
  await scene.command(computes, "computing", { ms: 7_000 });
  await first.says(({ started }) => started === "computing");
  const second = new Computer(scene, how, { env });
  const later = ["later-1", "later-2", "later-3", "later-4"];
  for (const run of later) await scene.command(waits, run, 6_000);
  for (const run of ["computing", "neighbour", ...later])
    await expect.poll(async () => (await scene.inbox(run)).length, { timeout: 30_000 }).toBe(1);
  const starts = (run: string) => [...first.starts(run), ...second.starts(run)].length;
  return { first, second, starts, later };
}

describe("a handler that computes for longer than the ack wait", { timeout: 60_000 }, () => {
  it("runs once, and so do all that are in hand beside it, and those that the process finds afterwards", async () => {
    const scene = await openScene();
    const { first, starts, later } = await computeBesideOthers(scene, "settings");
    expect(Object.fromEntries(["computing", "neighbour", ...later].map((run) => [run, starts(run)]))).toEqual(
      Object.fromEntries(["computing", "neighbour", ...later].map((run) => [run, 1])),
    );
    // Its duration, and where it is, is a warning.
    const { ms } = await first.says(({ event, over }) => event === "blocked" && over);
    expect(ms).toBeGreaterThan(6_000);
    expect(ms).toBeLessThan(9_000);
    await expect.poll(() => scene.left()).toBe(0);
    for (const run of ["computing", "neighbour"]) expect(await scene.records(run)).toEqual([]);
  });

  it("starts again elsewhere without the thread, with all that is in hand beside it", async () => {
    const scene = await openScene();
    const { starts } = await computeBesideOthers(scene, "none");
    expect([starts("computing"), starts("neighbour")]).toEqual([2, 2]);
  });

  it("and fails is tried again after its backoff, and not after the ack wait", async () => {
    const scene = await openScene();
    const computer = new Computer(scene, "settings");
    await scene.command(computes, "fails", { ms: 3_500, fails: true });
    expect(await scene.outcome("fails")).toMatchObject({ type: "StepCompleted", attempt: 2 });
    const [one, two] = computer.starts("fails");
    expect(two!.at - one!.at).toBeLessThan(3_500 + 1_500);
  });

  it("is kept no longer than its attempt's time-out", async () => {
    const scene = await openScene();
    const first = new Computer(scene, "settings");
    await first.says(({ ready }) => ready);
    await scene.command(computes, "long", { ms: 12_000 }, { timeout: { attemptMs: 4_000, totalMs: 60_000 } });
    const begun = await first.says(({ started }) => started === "long");
    const second = new Computer(scene, "settings");
    const again = await second.says(({ started }) => started === "long");
    expect(again.at - begun.at).toBeGreaterThan(4_000);
    expect(again.at - begun.at).toBeLessThan(9_000);
  });
});

it("a process that was frozen has lost what it had in hand, thread or no thread, and looks before it reports", async () => {
  const scene = await openScene();
  const first = new Computer(scene, "settings");
  await first.says(({ ready }) => ready);
  await scene.command(waits, "r", 1_000);
  await first.says(({ started }) => started === "r");
  first.child.kill("SIGSTOP");
  const second = new Computer(scene, "settings");
  await second.says(({ event }) => event === "completed");
  first.child.kill("SIGCONT");
  await first.says(({ event }) => event === "settled" || event === "completed");
  expect(first.lines.filter(({ event }) => event === "completed")).toEqual([]);
});

it("a handler that computes for longer than its time-out has failed, although it returns", async () => {
  const scene = await openScene();
  new Computer(scene, "settings");
  const timeout = { attemptMs: 1_000, totalMs: 60_000 };
  await scene.command(computes, "long", { ms: 1_500 }, { timeout, retry: { ...computes.retry, maxAttempts: 1 } });
  expect(await scene.outcome("long")).toMatchObject({ type: "StepFailed", error: { code: "TIMEOUT" } });
});

/** A server that asks for certificates, a key or a JWT: its configuration, and how the test and the processes log in. */
async function secured(how: "tls" | "nkey" | "creds", folder: string) {
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  if (how === "tls") {
    const files: Record<string, string> = {};
    for (const [name, pem] of Object.entries(await certificates())) files[name] = await file(name, pem);
    const [ca, cert, key] = [files["ca.pem"]!, files["client.pem"]!, files["client-key.pem"]!];
    const config = `tls { cert_file: "${files["server.pem"]}", key_file: "${files["server-key.pem"]}", ca_file: "${ca}", verify: true }`;
    const options = { tls: { caFile: ca, certFile: cert, keyFile: key, host: "127.0.0.1" } };
    return { config, protocol: "tls", options, env: { TLS_FILES: [ca, cert, key].join(",") } };
  }
  if (how === "nkey") {
    const { seed, publicKey } = userKey();
    const config = `authorization { users: [ { nkey: ${publicKey} } ] }`;
    const options = { authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) };
    return { config, protocol: "nats", options, env: { KEY_FILE: await file("key.nk", seed) } };
  }
  const { config, creds } = await operator();
  const options = { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) };
  return { config, protocol: "nats", options, env: { KEY_FILE: await file("user.creds", creds) } };
}

describe("the keep-alive thread", { timeout: 60_000 }, () => {
  it.skipIf(noGuardedServer)(
    "logs in as the process does, with functions for credentials, which are asked again after they have changed",
    async () => {
      const password = (pass: string) => `
        accounts: {
          A: { jetstream: enabled, users: [ { user: eva, password: ${pass} } ] }
          SYS: { users: [ { user: sys, password: sys } ] }
        }
        system_account: SYS`;
      const guarded: GuardedServer = await startGuardedServer(password("old"));
      ends.push(() => guarded.stop());
      const folder = await mkdtemp(join(tmpdir(), "stepstream-keep-alive-"));
      ends.push(() => rm(folder, { recursive: true, force: true }));
      const file = join(folder, "password");
      await writeFile(file, "old");
      const scene = await openScene(`nats://eva:old@${guarded.address}`);
      const env = { NATS_URL: `nats://${guarded.address}`, PASSWORD_FILE: file };
      const first = new Computer(scene, "functions", { env });
      const second = new Computer(scene, "functions", { env });
      for (const computer of [first, second]) await computer.says(({ ready }) => ready);
      const system = await dial({ servers: guarded.address, user: "sys", pass: "sys" });
      ends.push(() => system.close());
      const threads: string[] = [];
      system.subscribe("$SYS.ACCOUNT.A.CONNECT", {
        callback: (_error, msg) => {
          const { name } = msg.json<{ client: { name: string } }>().client;
          if (name.endsWith(" keep-alive")) threads.push(name);
        },
      });
      await system.flush();
      await writeFile(file, "new");
      await guarded.reload(password("new"));
      for (const computer of [first, second])
        await computer.says(({ event, state }) => event === "connection" && state === "up");
      await expect.poll(() => new Set(threads).size, { timeout: 10_000 }).toBe(2);
      const after = new WorkerScene(`nats://eva:new@${guarded.address}`, scene.bus.namespace);
      await after.open();
      ends.push(() => after.close());
      await after.command(computes, "computing", { ms: 6_000 });
      expect(await after.outcome("computing")).toMatchObject({ type: "StepCompleted", attempt: 1 });
      expect([...first.starts("computing"), ...second.starts("computing")]).toHaveLength(1);
      for (const computer of [first, second])
        expect(computer.lines.filter(({ event }) => event === "trouble")).toEqual([]);
    },
  );

  it.skipIf(noGuardedServer).each(["tls", "nkey", "creds"] as const)(
    "logs in with %s as the process does: what computes for longer than the ack wait runs once",
    async (how) => {
      const folder = await mkdtemp(join(tmpdir(), "stepstream-keep-alive-"));
      ends.push(() => rm(folder, { recursive: true, force: true }));
      const { config, protocol, options, env } = await secured(how, folder);
      const guarded = await startGuardedServer(config);
      ends.push(() => guarded.stop());
      const nats = `${protocol}://${guarded.address}`;
      const scene = await openScene({ servers: nats, ...options } as never);
      const [first, second] = [0, 1].map(() => new Computer(scene, how, { env: { NATS_URL: nats, ...env } }));
      for (const computer of [first!, second!]) await computer.says(({ ready }) => ready);
      await scene.command(computes, "computing", { ms: 6_000 });
      expect(await scene.outcome("computing")).toMatchObject({ type: "StepCompleted", attempt: 1 });
      const lines = [...first!.lines, ...second!.lines];
      expect(lines.filter(({ started }) => started === "computing")).toHaveLength(1);
      expect(lines.filter(({ event }) => event === "trouble")).toEqual([]);
    },
  );

  it.each([
    ["connection", "given an open connection"],
    ["log", "given an open event log"],
  ])("that has no settings, as a %s was given, says so, and goes on without", async (how, why) => {
    const scene = await openScene();
    const computer = new Computer(scene, how);
    const { error } = await computer.says(({ event }) => event === "trouble");
    expect(error).toContain(why);
    await scene.command(waits, "r", 10);
    expect(await scene.outcome("r")).toMatchObject({ type: "StepCompleted" });
    expect(computer.lines.filter(({ event }) => event === "trouble")).toHaveLength(1);
  });

  it("is one for all workers of a process, which ends by itself when they have stopped", async () => {
    const scene = await openScene();
    const computer = new Computer(scene, "settings", { workers: 3 });
    await computer.says(({ ready }) => ready);
    const exit = once(computer.child, "exit");
    computer.child.stdin!.end("stop\n");
    const { threads } = (await computer.says((line) => "threads" in line)) as unknown as { threads: number };
    expect(threads).toBe(1);
    expect(await exit).toEqual([0, null]);
  });
});
