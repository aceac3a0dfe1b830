/** The Dockerfile and its health check, without Docker: image.docker.test.ts builds and starts it. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { serveHealth } from "../../packages/program/src/health.ts";
import { shutdownPlan } from "../../packages/program/src/shutdown.ts";
import { neededBy } from "../../scripts/pack/image.ts";
import { durationOf, isVariable, ROOT, read } from "./settings.ts";

const dockerfile = await read("Dockerfile");
const final = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "));
const environment = Object.fromEntries(
  [...final.matchAll(/^(?:ENV)? +([A-Z_]+)=(\S+)/gm)].map(([, name, value]) => [name!, value!]),
);

describe("the image", () => {
  it("is that of a user who is not root, by number", () => {
    const [, user, group] = /^USER (\d+):(\d+)$/m.exec(final) ?? [];
    expect(Number(user)).toBeGreaterThan(0);
    expect(Number(group)).toBeGreaterThan(0);
  });

  it("sets variables that the programs read", () => {
    expect(Object.keys(environment)).toEqual([
      "NODE_ENV",
      "STEPSTREAM_HEALTH_PORT",
      "STEPSTREAM_SHUTDOWN_TIMEOUT",
      "HOME",
    ]);
    expect(Object.keys(environment).filter((name) => !isVariable(name))).toEqual([]);
  });

  it("ends within the patience of docker stop", () => {
    const { endMs } = shutdownPlan(durationOf(environment.STEPSTREAM_SHUTDOWN_TIMEOUT!), undefined);
    expect(endMs).toBeLessThan(10_000);
  });

  it("is built from what is in the context", async () => {
    const ignore = (await read(".dockerignore")).split("\n");
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(\S+) \S+$/gm)].map(([, file]) => file!);
    expect(copied).toEqual(["package.json", ".", "."]);
    for (const line of ignore) if (line.startsWith("!")) expect(existsSync(`${ROOT}${line.slice(1)}`), line).toBe(true);
    for (const file of copied.filter((one) => one !== ".")) expect(ignore).toContain(`!${file}`);
  });

  it("has those packages of ours that the programs need", () => {
    const manifest = (name: string, ...needs: string[]) => ({
      manifest: { name, version: "1.0.0", dependencies: Object.fromEntries(needs.map((need) => [need, "1.0.0"])) },
    });
    const all = [
      manifest("cli", "worker", "commander"),
      manifest("worker", "sdk"),
      manifest("sdk"),
      manifest("testing", "sdk"),
    ];
    expect(neededBy("cli", all).map((one) => one.manifest.name)).toEqual(["cli", "worker", "sdk"]);
  });
});

describe("its health check", () => {
  const check = (env: Record<string, string>, ...args: string[]) =>
    promisify(execFile)(process.execPath, [`${ROOT}infra/docker/health.cjs`, ...args], { env }).then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      ({ code, stderr }) => ({ code, text: stderr }),
    );

  it("asks the program in the same container: alive is enough, ready if that is asked for", async () => {
    expect(final).toContain('CMD ["node", "/stepstream/health.cjs"]');
    const at = new URL(await serveHealth(0, "127.0.0.1", { notReady: () => "it is starting" }));
    for (const variable of ["STEPSTREAM_HEALTH_PORT", "STEPSTREAM_METRICS_PORT"])
      expect(await check({ [variable]: at.port })).toEqual({ code: 0, text: '{"alive":true}\n' });
    expect(await check({ STEPSTREAM_HEALTH_PORT: at.port }, "/readyz")).toEqual({
      code: 1,
      text: '/readyz: 503 {"ready":false,"why":"it is starting"}\n',
    });
  });

  it("fails where nothing listens, nothing answers, or no port is known", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    expect(await check({ STEPSTREAM_HEALTH_PORT: String(port) })).toEqual({
      code: 1,
      text: "/healthz: no answer in 4 s\n",
    });
    silent.close();
    const refused = await check({ STEPSTREAM_HEALTH_PORT: "1" });
    expect(refused).toMatchObject({ code: 1, text: expect.stringContaining("ECONNREFUSED") });
    expect(await check({})).toMatchObject({ code: 1, text: expect.stringContaining("STEPSTREAM_HEALTH_PORT") });
  });
});
