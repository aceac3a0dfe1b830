/**
 * A process with workers whose handlers compute, or wait. Logs their events, and each start, as lines of JSON. Stops them
 * when its standard input ends.
 *
 *   node computing-worker.ts <how they are connected> <how many>
 */
import { readFileSync } from "node:fs";
import worker_threads from "node:worker_threads";
import {
  credsAuthenticator,
  connect as dial,
  nkeyAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { connectEventLog, fromFile } from "@stepstream/event-log/jetstream";
import type { Worker, WorkerOptions } from "@stepstream/step-worker";
import { computes, waits } from "./steps.ts";

let threads = 0;
const { Worker: Thread } = worker_threads;
worker_threads.Worker = class extends Thread {
  constructor(...args: ConstructorParameters<typeof Thread>) {
    super(...args);
    if (args[1]?.name === "stepstream-keep-alive") threads++;
  }
};
const { syncBuiltinESMExports } = await import("node:module");
syncBuiltinESMExports();
const { createWorker } = await import("@stepstream/step-worker");

const say = (line: object) => console.log(JSON.stringify(line));
const nats = process.env.NATS_URL!;
const namespace = process.env.STEPSTREAM_NAMESPACE!;
const password = () => readFileSync(process.env.PASSWORD_FILE!, "utf8");
const connections: Record<string, () => WorkerOptions | Promise<WorkerOptions>> = {
  settings: () => ({ nats, namespace }),
  functions: () => ({
    nats: { servers: nats, authenticator: usernamePasswordAuthenticator("eva", password) },
    namespace,
  }),
  tls: () => {
    const [caFile, certFile, keyFile] = process.env.TLS_FILES!.split(",");
    return { nats: { servers: nats, tls: { caFile, certFile, keyFile, host: "127.0.0.1" } } as never, namespace };
  },
  nkey: () => ({
    nats: { servers: nats, authenticator: nkeyAuthenticator(fromFile(process.env.KEY_FILE!)) },
    namespace,
  }),
  creds: () => ({
    nats: { servers: nats, authenticator: credsAuthenticator(fromFile(process.env.KEY_FILE!)) },
    namespace,
  }),
  connection: async () => ({ nats: await dial({ servers: nats }), namespace }),
  log: async () => ({ log: await connectEventLog({ nats, namespace }) }),
  none: () => ({ nats, namespace, keepAliveThread: false }),
};

const [, , how, many] = process.argv;
const workers: Worker[] = [];
for (let n = Number(many); n > 0; n--)
  workers.push(
    await createWorker({
      ...(await connections[how!]!()),
      ackWaitMs: 2_000,
      onEvent: ({ type, ...event }) =>
        say({ event: type, ...event, ...("error" in event && { error: String(event.error) }) }),
    })
      .handle(computes, ({ ms, fails }, { run, attempt }) => {
        say({ started: run });
        const until = performance.now() + ms;
        while (performance.now() < until);
        if (fails && attempt === 1) throw new Error("flaky");
        return process.pid;
      })
      .handle(waits, async (ms, { run }) => {
        say({ started: run });
        await new Promise((resolve) => setTimeout(resolve, ms));
        return process.pid;
      })
      .start(),
  );
say({ ready: true });
process.stdin.on("end", async () => {
  for (const worker of workers) await worker.stop();
  say({ threads });
});
process.stdin.resume();
