/** How the command line gets in: on servers that ask for a password, a token, a key, credentials, a certificate. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { connect, credsAuthenticator, type NodeConnectionOptions } from "@nats-io/transport-node";
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificates, operator, userKey } from "../support/credentials.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { add, cli, sum } from "./scene.ts";

const STEPSTREAM = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
const NAMESPACE = "shop";
const PASSWORD = "p@ss/w:rd";
/** What docs/guides/deploying.md says that a user of Stepstream needs. */
const NEEDED = `[ "${NAMESPACE}.>", "$JS.API.>", "$JS.ACK.>", "$O.>", "_INBOX.>" ]`;

let folder: string;
const servers: GuardedServer[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-connect-"));
  await mkdir(join(folder, "nats", "context"), { recursive: true });
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await rm(folder, { recursive: true, force: true });
});

/** A server with a namespace. */
async function serve(config: string, admin: NodeConnectionOptions): Promise<string> {
  const server = await startGuardedServer(config);
  servers.push(server);
  const nc = await connect({ servers: server.address, ...admin });
  await (await connectEventLog({ nats: nc, namespace: NAMESPACE })).close();
  await nc.close();
  return server.address;
}

const file = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text);
  return join(folder, name);
};
/** As `nats context add` does it. */
const context = (name: string, said: object) => file(join("nats", "context", `${name}.json`), JSON.stringify(said));
/** As `nats context select` does it. */
const select = (name: string) => file(join("nats", "context.txt"), name);

let runs = 0;
/** Starts a run, which writes and reads; a version that is said needs no coordinator. */
function start(args: string, env: Record<string, string> = {}) {
  const words = [
    ...args.split(" ").filter(Boolean),
    "-n",
    NAMESPACE,
    "start",
    "sum@1",
    "--id",
    `r${++runs}`,
    "-i",
    "[]",
  ];
  return cli(words, { XDG_CONFIG_HOME: folder, ...env });
}
const done = () => ({ code: 0, out: `r${runs}\n`, err: "" });

describe.skipIf(noGuardedServer)("a server that asks for a name and a password, or the signature of a key,", () => {
  const { seed, publicKey } = userKey();
  let url: string;
  beforeAll(async () => {
    const users = [
      `{ user: eva, password: ${JSON.stringify(PASSWORD)} }`,
      `{ nkey: ${publicKey} }`,
      `{ user: needy, password: x, permissions: { publish: ${NEEDED}, subscribe: ${NEEDED} } }`,
      `{ user: reader, password: x, permissions: { publish: { deny: "${NAMESPACE}.inbox.>" } } }`,
      `{ user: deaf, password: x, permissions: { subscribe: { deny: ">" } } }`,
    ];
    url = await serve(`authorization { users: [ ${users.join(", ")} ] }`, { user: "eva", pass: PASSWORD });
  });

  it("is told them by flags, by NATS_* variables, and in its URL", async () => {
    expect(await start(`--nats ${url} --user eva --password ${PASSWORD}`)).toEqual(done());
    expect(await start("", { NATS_URL: url, NATS_USER: "eva", NATS_PASSWORD: PASSWORD })).toEqual(done());
    expect(await start(`--nats nats://eva:${encodeURIComponent(PASSWORD)}@${url}`)).toEqual(done());
    const nkey = await file("eva.nk", `# of eva\n${seed}\n`);
    expect(await start(`--nats ${url} --nkey ${nkey}`)).toEqual(done());
    expect(await start(`--nats ${url}`, { NATS_NKEY: nkey })).toEqual(done());
  });

  it("is told them by a context: the one that is named, or selected and no URL is given", async () => {
    await context("eva", { url: `nats://${url}`, user: "eva", password: PASSWORD });
    await context("key", { url: `nats://${url}`, nkey: await file("key.nk", seed) });
    expect(await start("--context eva")).toEqual(done());
    expect(await start("--context key")).toEqual(done());
    expect(await start("", { NATS_CONTEXT: "eva" })).toEqual(done());
    await select("eva");
    expect(await start("")).toEqual(done());
    expect((await start(`--nats ${url}`)).err).toContain("does not let us in");
    // The server that is named, and the rest from the context that is named.
    expect(await start(`--nats ${url} --context eva`)).toEqual(done());
    await rm(join(folder, "nats", "context.txt"));
  });

  it("is told what a flag says, before the URL, before a variable, before the context", async () => {
    await context("wrong", { url: "nats://127.0.0.1:1", user: "nobody", password: "wrong" });
    const env = { NATS_URL: "nats://127.0.0.1:1", NATS_USER: "nobody", NATS_PASSWORD: "wrong" };
    expect(await start(`--context wrong --nats ${url} --user eva --password ${PASSWORD}`, env)).toEqual(done());
    const inUrl = `nats://eva:${encodeURIComponent(PASSWORD)}@${url}`;
    expect(await start(`--context wrong --nats ${inUrl}`, env)).toEqual(done());
    expect((await start(`--nats ${inUrl} --password wrong`)).code).toBe(4);
    expect(await start("--context wrong", { NATS_URL: url, NATS_USER: "eva", NATS_PASSWORD: PASSWORD })).toEqual(
      done(),
    );
  });

  it("lets nobody else in: exit code 4, and no word of the password", async () => {
    for (const args of ["", "--user eva --password s3cret", "--token s3cret"]) {
      const { code, out, err } = await start(`--nats nats://${url} ${args}`);
      expect({ code, out }).toEqual({ code: 4, out: "" });
      expect(err).toMatch(/^error: nats:\/\/127\.0\.0\.1:\d+ does not let us in: .*See --creds, --user, --context\.\n/);
      expect(err).not.toContain("s3cret");
    }
    const { code, err } = await start(`--nats nats://eva:s3cret@${url} --stack`);
    expect(code).toBe(4);
    expect(err).toContain("does not let us in");
    expect(err).not.toContain("s3cret");
  });

  it("says at once what it does not permit: exit code 4", async () => {
    const write = await start(`--nats nats://reader:x@${url}`);
    expect(write).toMatchObject({ code: 4, out: "" });
    expect(write.err).toMatch(
      /permission denied to publish to "shop\.inbox\.\d+\.r\d+\.client"\. Allow this user to publish to "shop\.inbox\.\*\.\*\.client"\. Nothing was written/,
    );
    const hear = await start(`--nats nats://deaf:x@${url}`);
    expect(hear).toMatchObject({ code: 4, out: "" });
    expect(hear.err).toContain('Allow this user to subscribe to "_INBOX.>"');
  });

  it("needs to permit no more than the subjects of the namespace, the API of JetStream, and replies, to one user for everything", async () => {
    const bus = { nats: `nats://needy:x@${url}`, namespace: NAMESPACE };
    const coordinator = await createCoordinator({ ...bus, workflows: [sum] }).start();
    const worker = await createWorker(bus)
      .handle(add, ({ a, b }) => a + b)
      .start();
    const env = { NATS_URL: bus.nats, STEPSTREAM_NAMESPACE: NAMESPACE };
    expect(await cli("start sum --id needy --input [1,2,3] --wait", env)).toEqual({ code: 0, out: "6\n", err: "" });
    const examined = await cli("doctor --accept durability", env);
    expect(examined.out).not.toContain("✗");
    expect(examined.code).toBe(0);
    await worker.stop();
    await coordinator.stop();
  });
});

describe.skipIf(noGuardedServer)("a server that asks for a token", () => {
  it("is told it by a flag, a variable, in its URL, and by a context", async () => {
    const url = await serve("authorization { token: t0ken }", { token: "t0ken" });
    await context("token", { url, token: "t0ken" });
    expect(await start(`--nats ${url} --token t0ken`)).toEqual(done());
    expect(await start(`--nats ${url}`, { NATS_TOKEN: "t0ken" })).toEqual(done());
    expect(await start(`--nats nats://t0ken@${url}`)).toEqual(done());
    expect(await start("--context token")).toEqual(done());
    expect((await start(`--nats ${url} --token other`)).code).toBe(4);
  });
});

describe.skipIf(noGuardedServer)("a server with an operator", () => {
  it("is shown the credentials of a file, or those that stand in a context", async () => {
    const { config, creds, jwt, seed } = await operator();
    const url = await serve(config, { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) });
    const path = await file("user.creds", creds);
    await context("creds", { url, creds: path });
    await context("jwt", { url, user_jwt: jwt, user_seed: seed });
    expect(await start(`--nats ${url} --creds ${path}`)).toEqual(done());
    expect(await start(`--nats ${url}`, { NATS_CREDS: path })).toEqual(done());
    expect(await start("--context creds")).toEqual(done());
    expect(await start("--context jwt")).toEqual(done());
    expect((await start(`--nats ${url}`)).code).toBe(4);
    const other = await file("other.creds", (await operator()).creds);
    expect(await start(`--nats ${url} --creds ${other}`)).toMatchObject({
      code: 4,
      err: expect.stringContaining("does not let us in"),
    });
  });
});

describe.skipIf(noGuardedServer)("a server with TLS that asks for a certificate", () => {
  let tls: { ca: string; cert: string; key: string };
  const config = (more = "") =>
    `tls { cert_file: ${path("server.pem")}, key_file: ${path("server-key.pem")}, ca_file: ${path("ca.pem")}, verify: true ${more} }`;
  const path = (name: string) => JSON.stringify(join(folder, name));
  const admin = () => ({ tls: { caFile: tls.ca, certFile: tls.cert, keyFile: tls.key, host: "127.0.0.1" } });
  beforeAll(async () => {
    for (const [name, pem] of Object.entries(await certificates())) await file(name, pem);
    const [ca, cert, key] = ["ca.pem", "client.pem", "client-key.pem"].map((name) => join(folder, name));
    tls = { ca: ca!, cert: cert!, key: key! };
  });

  it("is trusted by its authority, and shown the certificate, by flags, variables and a context", async () => {
    const url = await serve(config(), admin());
    await context("tls", { url: `tls://${url}`, ...tls });
    expect(await start(`--nats tls://${url} --tls-ca ${tls.ca} --tls-cert ${tls.cert} --tls-key ${tls.key}`)).toEqual(
      done(),
    );
    const env = { NATS_CA: tls.ca, NATS_CERT: tls.cert, NATS_KEY: tls.key };
    expect(await start(`--nats ${url}`, env)).toEqual(done());
    expect(await start("--context tls")).toEqual(done());

    const stranger = await start(`--nats tls://${url} --tls-cert ${tls.cert} --tls-key ${tls.key}`);
    expect(stranger).toMatchObject({ code: 4, out: "" });
    expect(stranger.err).toMatch(/^error: The certificate of tls:\/\/127.* is not trusted: .* See --tls-ca\.\n/);
    expect((await start(`--nats tls://${url} --tls-ca ${tls.ca}`)).code).toBe(4);
  });

  it("is spoken to in TLS from the first word, if the context says so", async () => {
    const url = await serve(config(", handshake_first: true"), { tls: { ...admin().tls, handshakeFirst: true } });
    await context("first", { url: `tls://${url}`, ...tls, tls_first: true });
    expect(await start("--context first")).toEqual(done());
  });
});

describe("what is not there", () => {
  it.each([
    ["--nats 127.0.0.1:1", 4, "127.0.0.1:1 does not answer (connection refused). Does nats-server run there?"],
    ["--context nobody", 2, 'There is no NATS context "nobody"'],
    ["--creds nowhere.creds", 2, "The file of the credentials cannot be read: nowhere.creds"],
    ["--nkey nowhere.nk", 2, "The file of the nkey seed cannot be read: nowhere.nk"],
    ["--tls-ca nowhere.pem", 2, "The file of the certificate authority cannot be read: nowhere.pem"],
    ["--tls-cert nowhere.pem", 2, "The file of the client certificate cannot be read: nowhere.pem"],
    ["--context domain", 2, "sets jetstream_domain, which is not supported"],
    ["--context broken", 2, 'NATS context "broken"'],
  ])("is said, by its name: %s", async (args, code, said) => {
    await context("domain", { url: "nats://127.0.0.1:1", jetstream_domain: "hub" });
    await file(join("nats", "context", "broken.json"), "{");
    const ran = await start(args);
    expect(ran.err).toContain(said);
    expect(ran).toMatchObject({ code, out: "" });
  });

  it.skipIf(noGuardedServer)(
    "any more, while a command waits for it: exit code 4, after some ten seconds",
    async () => {
      const server = await startGuardedServer(`
      accounts { SYS { users: [ { user: sys, password: x } ] }, A { users: [ { user: eva, password: x } ], jetstream: on } }
      system_account: SYS`);
      const nc = await connect({ servers: server.address, user: "eva", pass: "x" });
      await (await connectEventLog({ nats: nc, namespace: NAMESPACE })).close();
      await nc.close();
      const url = `nats://eva:x@${server.address}`;
      await start(`--nats ${url}`);
      const waiting = cli(`--nats ${url} -n ${NAMESPACE} result r${runs}`, {});
      const sys = await connect({ servers: server.address, user: "sys", pass: "x" });
      const everybody = async () =>
        (await sys.request("$SYS.REQ.SERVER.PING.CONNZ", JSON.stringify({ subscriptions: true }))).string();
      await expect.poll(everybody).toContain(`"${NAMESPACE}.live.journal.`);
      await sys.close();
      await server.stop();
      const { code, err } = await waiting;
      expect(err).toMatch(/^error: The connection to the bus is lost, and did not come back/);
      expect(code).toBe(4);
    },
  );

  it.each([
    ["says nothing", (_: Socket) => {}],
    ["says something else", (socket: Socket) => void socket.write(Buffer.alloc(10_000, 0xff))],
    [
      "says who it is, and no more",
      (socket: Socket) => void socket.write('INFO {"max_payload":1000000,"headers":true}\r\n'),
    ],
  ])("is said of a server that %s, and the process ends", async (_what, talk) => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => {
      sockets.add(socket.on("error", () => {}));
      talk(socket);
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const child = spawn(process.execPath, [STEPSTREAM, "--nats", `127.0.0.1:${port}`, "ls"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      const [err, [code]] = await Promise.all([text(child.stderr), once(child, "exit")]);
      expect(err).toBe(
        `using 127.0.0.1:${port} (--nats), namespace "default"\nerror: 127.0.0.1:${port} does not answer (timeout). Does nats-server run there?\n`,
      );
      expect(code).toBe(4);
    } finally {
      child.kill("SIGKILL");
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
