/**
 * A real nats-server for tests: in a container where Docker is there, else as a child process.
 *
 * `STEPSTREAM_TEST_NATS` chooses: `docker` (testcontainers, or fail), `binary` (no Docker), `auto` (the default: the
 * server that `NATS_URL` names, else a container, else a child process). A server named by `NATS_URL` is shared: tests
 * keep apart by namespace, and those that kill it fail.
 */
import { findNatsServer, NATS_IMAGE, serverPort, startNatsServer, untilReady } from "@stepstream/infra";

export interface TestServer {
  readonly kind: "testcontainers" | "binary" | "url";
  readonly url: string;
  /** Ends it and removes its store. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL; port and store stay for `restart`. */
  kill(): Promise<void>;
  /** Starts it again, running or killed: same port, same store. */
  restart(): Promise<void>;
}

/** How long an image may take to come. */
const PULL_MS = 120_000;

let told = false;

/**
 * Starts a server and resolves once it answers. Prints, once for each test file, which way it took.
 *
 * @throws {Error} If `STEPSTREAM_TEST_NATS` is none of the three, or the way it asks for is not open.
 */
export async function startTestServer(): Promise<TestServer> {
  const wish = process.env.STEPSTREAM_TEST_NATS || "auto";
  switch (wish) {
    case "docker":
      await untilImage();
      return inContainer();
    case "binary":
      return asChild("");
    case "auto": {
      if (process.env.NATS_URL) return asChild("");
      try {
        await untilImage();
        return await inContainer();
      } catch (error) {
        return asChild(`, for Docker did not help: ${error instanceof Error ? error.message : error}`);
      }
    }
    default:
      throw new Error(`STEPSTREAM_TEST_NATS is "${wish}": it takes docker, binary or auto.`);
  }
}

function tell(way: string): void {
  if (!told) console.error(`test server: ${way}`);
  told = true;
}

async function asChild(because: string): Promise<TestServer> {
  const log = (line: string) => console.error(line);
  const env = { ...process.env };
  if (env.STEPSTREAM_TEST_NATS === "binary") delete env.NATS_URL;
  const found = await findNatsServer({ env, log });
  if (found.kind === "docker")
    throw new Error("nats-server is to be had in Docker alone: set STEPSTREAM_TEST_NATS=docker.");
  tell(found.kind === "url" ? `NATS_URL, ${found.url}` : `nats-server ${found.version} (${found.source})${because}`);
  const server = await startNatsServer({ found });
  return { ...bound(server), kind: found.kind };
}

function bound({ url, stop, kill, restart }: Omit<TestServer, "kind">): Omit<TestServer, "kind"> {
  return { url, stop, kill, restart };
}

/** Resolves once Docker answers and has the image. It is imported late: it takes half a second that most do not need. */
async function untilImage(): Promise<void> {
  const { getContainerRuntimeClient, ImageName } = await import("testcontainers");
  const client = await getContainerRuntimeClient();
  const image = ImageName.fromString(NATS_IMAGE);
  if (await client.image.exists(image)) return;
  console.error(`test server: pulling ${NATS_IMAGE}`);
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${NATS_IMAGE} within ${PULL_MS / 1000} s`)), PULL_MS);
  });
  await Promise.race([client.image.pull(image), tooLate]).finally(() => clearTimeout(timer));
}

/** The port on the host is fixed beforehand, since Docker would choose another at each start; the store is in the container. */
async function inContainer(): Promise<TestServer> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import("testcontainers");
  const start = async (tries = 1): Promise<{ port: number; id: string; host: string; remove(): Promise<unknown> }> => {
    const port = serverPort(Math.random());
    try {
      const container = await new GenericContainer(NATS_IMAGE)
        .withCommand(["-js", "-sd", "/data"])
        .withExposedPorts({ container: 4222, host: port })
        .withWaitStrategy(Wait.forLogMessage(/Server is ready/))
        .start();
      return { port, id: container.getId(), host: container.getHost(), remove: () => container.stop() };
    } catch (error) {
      if (tries < 20 && /already allocated|already in use/.test(String(error))) return start(tries + 1);
      throw error;
    }
  };
  const { port, id, host, remove } = await start();
  tell(`testcontainers, ${NATS_IMAGE}`);
  await untilReady({ host, port });
  const container = (await getContainerRuntimeClient()).container.getById(id);
  const running = async () => (await container.inspect()).State.Running;
  return {
    kind: "testcontainers",
    url: `nats://${host}:${port}`,
    stop: async () => void (await remove()),
    async kill() {
      if (await running()) await container.kill({ signal: "SIGKILL" });
      await container.wait();
    },
    async restart() {
      if (await running()) await container.stop({ t: 10 });
      await container.start();
      await untilReady({ host, port });
    },
  };
}
