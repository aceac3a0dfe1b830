/** The programs of docs/guides/deploying.md, on three nats-servers, of which one is lost for good. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect } from "@stepstream/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, startCluster } from "../../test/support/cluster.ts";
import { hello } from "./parts.ts";

let cluster: Cluster | undefined;
const children: ChildProcess[] = [];
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await cluster?.stop();
});

/** Starts one of the programs; resolves with the process and the first line that it prints. */
async function program(name: string): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))], {
    env: { ...process.env, NATS_URL: cluster!.urls.join(","), STEPSTREAM_NAMESPACE: "production" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(createInterface({ input: child.stdout! }), "line");
  return { child, line: String(line) };
}

/** Runs a command of the command line. @returns What it says. */
async function stepstream(command: string): Promise<string> {
  const bin = fileURLToPath(new URL("../../packages/cli/bin/stepstream.cjs", import.meta.url));
  const env = { ...process.env, NATS_URL: cluster!.urls.join(",") };
  return (await promisify(execFile)(process.execPath, [bin, ...command.split(" ")], { env })).stderr;
}

it("go on when a server is lost, and stop when they are told to", async ({ skip }) => {
  if (!cluster) skip();
  for (const said of ["is made", "is there, as asked for"])
    expect(await stepstream("namespace create production --replicas 3 --partitions 16")).toContain(
      `production ${said}`,
    );

  const [first, second, worker] = await Promise.all(["coordinator", "coordinator", "worker"].map(program));
  const client = await connect({ nats: [...cluster!.urls], namespace: "production" });
  const runs = async (prefix: string) => {
    const started = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.start(hello, { name: `${i}` }, { id: `${prefix}-${i}` })),
    );
    return Promise.all(started.map((run) => run.result()));
  };
  const greetings = Array.from({ length: 20 }, (_, i) => `Hello, ${i}!`);
  expect(await runs("before")).toEqual(greetings);

  await cluster!.kill(1);
  expect(await runs("without-one-server")).toEqual(greetings);

  // A coordinator is told to stop; the other has it all.
  first!.child.kill("SIGTERM");
  await once(first!.child, "exit");
  expect(await runs("without-one-coordinator")).toEqual(greetings);
  for (const { child } of [second!, worker!]) {
    child.kill("SIGTERM");
    await once(child, "exit");
    expect(child.exitCode).toBe(0);
  }
  await client.close();
}, 120_000);
