/**
 * The image, built by its Dockerfile and started as a platform would: not root, no capabilities, nothing to write to.
 * Skipped, with a line on standard error, where Docker does not answer.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATS_IMAGE } from "@stepstream/infra";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { buildBase, docker, noDocker } from "./docker.ts";
import { ROOT } from "./settings.ts";

const why = await noDocker();
if (why) console.error(`!!! The image was NOT built and started: ${why}.`);

const TAG = `test-${process.pid}`;
const BASE = `stepstream-base:${TAG}`;
const IMAGE = `stepstream:${TAG}`;
const SHOP = `stepstream-shop:${TAG}`;
const LOCKED_DOWN = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"];
const started: string[] = [];

async function start(...args: string[]): Promise<string> {
  const id = await docker("run", "--detach", ...args);
  started.push(id);
  return id;
}

describe.skipIf(why)("the image", () => {
  let folder: string;
  let bus: string[];
  let coordinator: string;
  let worker: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "stepstream-image-"));
    await buildBase(BASE, folder);
    // The host's network, since a bridge may lead nowhere.
    const args = ["--network=host", `--build-arg=BUILD=${BASE}`, `--build-arg=BASE=${BASE}`];
    await docker("build", "--quiet", ...args, "--tag", IMAGE, ROOT);
    await docker("build", "--quiet", `--build-arg=STEPSTREAM=${IMAGE}`, "--tag", SHOP, `${ROOT}examples/containers`);
    const nats = await start(NATS_IMAGE, "-js", "-sd", "/tmp");
    const address = await docker(
      "inspect",
      "--format",
      "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
      nats,
    );
    bus = ["--env", `NATS_URL=nats://${address}:4222`, "--env", "STEPSTREAM_NAMESPACE=shop"];
    const program = (...command: string[]) => start(...LOCKED_DOWN, "--health-interval=1s", ...bus, SHOP, ...command);
    coordinator = await program("stepstream-coordinator", "./workflows.ts");
    worker = await program("stepstream-worker", "./handlers.ts");
  }, 300_000);
  afterAll(async () => {
    for (const id of started) await docker("rm", "--force", "--volumes", id).catch(() => {});
    for (const image of [SHOP, IMAGE, BASE]) await docker("rmi", image).catch(() => {});
    await rm(folder, { recursive: true, force: true });
  });

  const stepstream = (...command: string[]) =>
    docker(
      "run",
      "--rm",
      ...LOCKED_DOWN,
      ...bus,
      "--env=STEPSTREAM_CONNECT_TIMEOUT=30s",
      SHOP,
      "stepstream",
      ...command,
    );
  const inContainer = (code: string) => docker("exec", coordinator, "node", "-p", code);
  const state = async (id: string) => JSON.parse(await docker("inspect", "--format", "{{json .State}}", id));

  it("runs coordinator, worker and command line, and finds them healthy", async () => {
    await vi.waitFor(
      async () => {
        for (const id of [coordinator, worker]) {
          expect((await state(id)).Health.Status, await docker("logs", id)).toBe("healthy");
          await docker("exec", id, "node", "/stepstream/health.cjs", "/readyz");
        }
      },
      { timeout: 60_000, interval: 500 },
    );
    await stepstream("start", "order", "--id=order-1", '--input={"item":"book","cents":995}');
    expect(JSON.parse(await stepstream("result", "order-1", "--json"))).toMatchObject({
      output: { receipt: "receipt-order-1/1" },
    });
    // Nothing can be written, so its list of runs is in memory.
    expect(JSON.parse(await stepstream("ls", "--json"))).toMatchObject({ run: "order-1", status: "completed" });
  });

  it("is not root, and the program is the first process, which gets the signals", async () => {
    expect(await inContainer("process.getuid() + ':' + process.getgid()")).toBe("65532:65532");
    expect(await inContainer("fs.readFileSync('/proc/1/cmdline', 'utf8').replaceAll('\\0', ' ')")).toMatch(
      /^node \S*stepstream-coordinator \.\/workflows\.ts$/,
    );
  });

  it("has what the programs need, and nothing that builds or tests them", async () => {
    const others = (await inContainer("fs.readdirSync('/stepstream/node_modules/.pnpm').join(' ')")).split(" ");
    expect(others.filter((name) => /^(zod|pino|@nats-io\+jetstream)@/.test(name))).toHaveLength(3);
    expect(
      others.filter((name) => /^(typescript|vitest|@biomejs|fast-check|testcontainers|yaml-lint)/.test(name)),
    ).toEqual([]);
    expect(await inContainer("fs.readdirSync('/stepstream/node_modules/@stepstream').sort().join(' ')")).toBe(
      "cli contracts coordinator event-log infra program sdk step-worker telemetry watchdog",
    );
  });

  it("adds less than 50 MB to its base", async () => {
    const size = async (image: string) => Number(await docker("image", "inspect", "--format", "{{.Size}}", image));
    const added = (await size(IMAGE)) - (await size(BASE));
    console.error(`the image adds ${(added / 1e6).toFixed(1)} MB to its base`);
    expect(added).toBeLessThan(50e6);
  });

  it("stops within the patience of docker stop, by itself", async () => {
    for (const id of [worker, coordinator]) {
      const begin = Date.now();
      await docker("stop", id);
      expect(Date.now() - begin).toBeLessThan(10_000);
      expect(await state(id)).toMatchObject({ ExitCode: 0, OOMKilled: false });
    }
  }, 60_000);
});
