/** A worker process of the demo: node worker.ts <nats> <namespace>. */

import { createWorker } from "@stepstream/step-worker";
import { asChild } from "./as-child.ts";
import { handleAll } from "./handlers.ts";

await asChild("worker", (options) => handleAll(createWorker(options)).start());
