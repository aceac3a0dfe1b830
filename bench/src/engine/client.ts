import { connect } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { play } from "../role.ts";
import { ORDER, shapeOf } from "../shapes.ts";

await play(async ({ nats, namespace, shape }) => {
  await startTelemetry({ serviceName: "bench-client" });
  const client = await connect({ nats, namespace });
  const { workflow } = shapeOf(shape);
  return async () => {
    const run = await client.start(workflow, ORDER);
    await run.result();
    return run.id;
  };
});
