/** `node client.ts <trip or hop> <run> …` starts runs, waits for their ends, and tells what they returned. */

import { connect } from "@stepstream/sdk";
import { startTelemetry } from "@stepstream/telemetry";
import { hop, trip } from "./trip.ts";

const bus = { nats: process.env.NATS_URL!, namespace: process.env.STEPSTREAM_NAMESPACE! };
const [, , name, ...ids] = process.argv;
const started = await startTelemetry({ serviceName: "test-client" });
const client = await connect(bus);
const runs = await Promise.all(ids.map((id) => client.start(name === "hop" ? hop : trip, undefined, { id })));
const results = await Promise.all(runs.map((run) => run.result()));
await client.close();
await started.stop();
console.log(`result ${results.join(" ")}`);
