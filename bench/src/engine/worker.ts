import { createWorker } from "@stepstream/step-worker";
import { startTelemetry } from "@stepstream/telemetry";
import { play } from "../role.ts";
import { charge, RECEIPT } from "../shapes.ts";

await play(async ({ nats, namespace }) => {
  await startTelemetry({ serviceName: "bench-worker" });
  await createWorker({
    nats,
    namespace,
    onEvent: (event) => event.type === "trouble" && console.error(event.what, event.error),
  })
    .handle(charge, () => RECEIPT)
    .start();
  return undefined;
});
