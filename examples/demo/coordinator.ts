/** The coordinator process of the demo: node coordinator.ts <nats> <namespace>. */

import { createCoordinator } from "@stepstream/coordinator";
import { asChild } from "./as-child.ts";
import { etl } from "./pipeline.ts";

await asChild("coordinator", (options) => createCoordinator({ ...options, workflows: [etl] }).start());
