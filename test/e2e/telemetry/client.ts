/** Starts a run, waits for its end, and tells what it returned. */

import { connect } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { trip } from "./trip.ts";

const bus = { nats: process.env.NATS_URL!, namespace: process.env.STEPSTREAM_NAMESPACE! };
const started = await startTelemetry({ serviceName: "test-client" });
const client = await connect(bus);
const run = await client.start(trip, undefined, { id: process.argv[2]! });
console.log(`result ${await run.result()}`);
await client.close();
await started.stop();
