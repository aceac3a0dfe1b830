/** A worker: start as many as the work needs. */
import { createWorker } from "@stepstream/step-worker";
import { greet, namespace, nats } from "./parts.ts";

const worker = await createWorker({ nats, namespace })
  .handle(greet, ({ name }) => `Hello, ${name}!`)
  .start();
process.once("SIGTERM", () => worker.stop());
console.log(`worker ${worker.name}`);
