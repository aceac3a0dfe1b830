import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface Address {
  host: string;
  port: number;
}

/**
 * Waits until a nats-server answers PING and has JetStream.
 *
 * It asks anew every 25 ms, because a container's port is open before the server behind it listens.
 *
 * @throws {Error} If it does not answer within `timeoutMs` (default 15 s), or answers without JetStream.
 */
export async function untilReady(address: Address, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await ping(address);
    } catch (error) {
      if (error instanceof NoJetStreamError) throw error;
      if (Date.now() >= deadline) {
        throw new Error(`nats-server at ${address.host}:${address.port} did not answer within ${timeoutMs} ms`, {
          cause: error,
        });
      }
      await sleep(25);
    }
  }
}

class NoJetStreamError extends Error {}

/** One exchange of the NATS protocol: INFO from the server, CONNECT and PING from us, PONG. */
function ping({ host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: 2_000 });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    let text = "";
    socket.setEncoding("utf8");
    socket.once("error", fail);
    socket.once("close", () => fail(new Error("closed before it answered")));
    socket.once("timeout", () => fail(new Error("silent for 2 s")));
    socket.on("data", (chunk: string) => {
      const greeted = text.includes("\r\n");
      text += chunk;
      if (!greeted && text.includes("\r\n")) {
        if (!text.includes('"jetstream":true')) {
          return fail(new NoJetStreamError(`nats-server at ${host}:${port} runs without JetStream: start it with -js`));
        }
        socket.write('CONNECT {"verbose":false}\r\nPING\r\n');
      }
      if (text.includes("PONG\r\n")) {
        socket.destroy();
        resolve();
      }
    });
  });
}
