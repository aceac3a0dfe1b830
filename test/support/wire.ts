import { connect, createServer, type Socket } from "node:net";

/**
 * A wire between a client and nats-server that can be cut, or go silent, on purpose.
 *
 *   cut()     both ends see the connection end; new ones are taken
 *   mute()    what the server says gets lost; what the client says arrives
 *   unmute()  what is said from now on arrives again (what was lost stays lost)
 *   hold()    what the server says is kept back, in order
 *   release() … and comes after all
 */
export interface Wire {
  readonly url: string;
  cut(): void;
  mute(): void;
  unmute(): void;
  hold(): void;
  release(): void;
  stop(): Promise<void>;
}

export async function startWire(target: string): Promise<Wire> {
  const { hostname, port } = new URL(target.includes("://") ? target : `nats://${target}`);
  const pairs = new Set<{ near: Socket; far: Socket }>();
  let mode: "pass" | "mute" | "hold" = "pass";
  let held: { near: Socket; data: Buffer }[] = [];

  const server = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port) });
    const pair = { near, far };
    pairs.add(pair);
    near.setNoDelay();
    far.setNoDelay();
    near.on("data", (data) => far.write(data));
    far.on("data", (data: Buffer) => {
      if (mode === "pass") near.write(data);
      else if (mode === "hold") held.push({ near, data });
    });
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  function turn(to: typeof mode): void {
    mode = to;
  }
  function cut(): void {
    for (const { near, far } of [...pairs]) {
      near.destroy();
      far.destroy();
    }
  }
  return {
    url: `nats://127.0.0.1:${address.port}`,
    cut,
    mute: () => turn("mute"),
    unmute: () => turn("pass"),
    hold: () => turn("hold"),
    release() {
      mode = "pass";
      for (const { near, data } of held) near.write(data);
      held = [];
    },
    async stop() {
      cut();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
