// A coordinator on a connection, or a log, that is not its own. Its code is stopped once; then what it was given is not closed.
import { connect } from "@nats-io/transport-node";
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { loops, other } from "./given-workflows.ts";

const [kind, url, namespace] = process.argv.slice(2) as ["connection" | "log", string, string];
const say = (event: object) => void process.stdout.write(`${JSON.stringify(event)}\n`);

const nc = await connect({ servers: url, name: "given" });
const log = await connectEventLog({ nats: nc, namespace, partitions: 1 });
const given = kind === "log" ? { log } : { nats: nc, namespace };
const coordinator = createCoordinator({
  ...given,
  workflows: [loops, other],
  onEvent: (event) => event.type !== "trouble" && say(event),
});
await coordinator.start();
say({ type: "ready" });

const within = (ms: number, act: () => Promise<unknown>) =>
  Promise.race([act().then(() => "done", String), new Promise((resolve) => setTimeout(resolve, ms, "no answer"))]);

// Asked by a line on standard input: a wait that was pending when code was stopped may be lost.
process.stdin.on("data", async () => {
  const stopped = await within(10_000, () => coordinator.stop());
  say({ type: "given", isClosed: nc.isClosed(), stopped });
});
