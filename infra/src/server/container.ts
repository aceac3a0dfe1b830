import { fileURLToPath } from "node:url";
import { thisMachine } from "../machine.ts";
import type { NatsServer, StartOptions } from "../start.ts";
import { serverPort } from "./ports.ts";
import { untilReady } from "./ready.ts";

/**
 * Starts nats-server in a Docker container whose port is published on this machine.
 *
 * The store lives in the container, so it survives `kill` and `restart` and goes with `stop`.
 *
 * @throws {Error} If `storeDir` is given: a container keeps its own.
 */
export async function startContainer(
  image: string,
  { port = 0, storeDir, syncInterval = "2m", log = () => {} }: StartOptions,
): Promise<NatsServer> {
  if (storeDir) throw new Error("A nats-server in a container keeps its own store: leave storeDir out.");
  const machine = thisMachine();
  const docker = (...args: string[]) => machine.run("docker", args, { timeoutMs: 120_000 });
  const config = fileURLToPath(
    new URL(syncInterval === "always" ? "../../nats/dev-sync-always.conf" : "../../nats/dev.conf", import.meta.url),
  );

  let chosen = port;
  let id: string;
  for (let tries = 1; ; tries++) {
    if (port === 0) chosen = serverPort(Math.random());
    const publish = `127.0.0.1:${chosen}:4222`;
    id = (await docker("create", "-p", publish, image, "-c", "/nats-dev.conf", "-a", "0.0.0.0", "-sd", "/data")).trim();
    try {
      await docker("cp", config, `${id}:/nats-dev.conf`);
      await docker("start", id);
      break;
    } catch (error) {
      await docker("rm", "-f", id);
      const taken = error instanceof Error && error.message.includes("already allocated");
      if (port !== 0 || !taken || tries >= 20) throw error;
    }
  }
  log(`nats-server runs in container ${id.slice(0, 12)} of ${image}`);
  const address = { host: "127.0.0.1", port: chosen };
  await untilReady(address);

  return {
    kind: "docker",
    url: `nats://127.0.0.1:${chosen}`,
    pid: undefined,
    async kill() {
      await docker("kill", id).catch(() => {}); // it may have ended by itself
    },
    async restart() {
      await docker("restart", id);
      await untilReady(address);
    },
    async stop() {
      await docker("stop", id);
      await docker("rm", "-f", "-v", id);
    },
  };
}
