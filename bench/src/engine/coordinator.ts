import { createCoordinator } from "@stepstream/coordinator";
import { startTelemetry } from "@stepstream/telemetry";
import { play } from "../role.ts";
import { INBOX_IN_FLIGHT, SHAPES } from "../shapes.ts";

await play(async ({ nats, namespace }) => {
  await startTelemetry({ serviceName: "bench-coordinator" });
  await createCoordinator({
    nats,
    namespace,
    workflows: SHAPES.map((shape) => shape.workflow),
    settings: { inFlight: INBOX_IN_FLIGHT },
    onEvent: (event) => event.type === "trouble" && console.error(event.what, event.error),
  }).start();
  return undefined;
});
