/** The coordinator process of the demo: node coordinator.ts <nats> <namespace>. Ends with its parent. */

import { type CoordinatorEvent, createCoordinator } from "@stepstream/coordinator";
import { etl } from "./pipeline.ts";

/** Failures on purpose are in the history; what is said here is what should not be. */
const onEvent = (event: CoordinatorEvent) => {
  if (event.type === "trouble") console.error(`coordinator: ${event.what}:`, event.error);
};
const [nats, namespace] = process.argv.slice(2) as [string, string];
const coordinator = await createCoordinator({ nats, namespace, workflows: [etl], onEvent }).start();
const stop = () => coordinator.stop().finally(() => process.exit(0));
process.once("SIGTERM", stop);
process.once("disconnect", stop);
process.send?.("ready");
