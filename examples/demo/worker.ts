/** A worker process of the demo: node worker.ts <nats> <namespace>. Ends with its parent. */

import { createWorker, type WorkerEvent } from "@stepstream/step-worker";
import { handleAll } from "./handlers.ts";

/** Failures on purpose are in the history; what is said here is what should not be. */
const onEvent = (event: WorkerEvent) => {
  if (event.type === "trouble") console.error(`worker: ${event.what}:`, event.error);
};
const [nats, namespace] = process.argv.slice(2) as [string, string];
const worker = await handleAll(createWorker({ nats, namespace, onEvent })).start();
const stop = () => worker.stop().finally(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("disconnect", stop);
process.send?.("ready");
