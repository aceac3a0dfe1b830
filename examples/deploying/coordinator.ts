/** A coordinator: start two or more of it. */
import { createCoordinator } from "@stepstream/coordinator";
import { hello, namespace, nats } from "./parts.ts";

const coordinator = await createCoordinator({ nats, namespace, workflows: [hello] }).start();
process.once("SIGTERM", () => coordinator.stop());
console.log(`coordinator ${coordinator.id}`);
