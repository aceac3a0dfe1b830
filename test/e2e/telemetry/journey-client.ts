/** `node journey-client.ts <run>` starts a journey from within a span and with baggage, as the server of an API would. */

import { context, propagation, trace } from "@opentelemetry/api";
import { connect } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { journey } from "./journey.ts";

const bus = { nats: process.env.NATS_URL!, namespace: process.env.STEPSTREAM_NAMESPACE! };
const started = await startTelemetry({ serviceName: "shop" });
const client = await connect(bus);
const baggage = propagation.createBaggage({ tenant: { value: "acme" } });
await trace.getTracer("shop").startActiveSpan("POST /journeys", async (span) => {
  const inside = propagation.setBaggage(context.active(), baggage);
  await context.with(inside, () => client.start(journey, undefined, { id: process.argv[2]! }));
  span.end();
});
await client.close();
await started.stop();
console.log("result started");
