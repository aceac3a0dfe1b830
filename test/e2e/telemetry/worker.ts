/** A worker with telemetry, whose handlers have spans of their own. */

import { trace } from "@opentelemetry/api";
import { createWorker } from "@stepstream/step-worker";
import { createTelemetry, startTelemetry } from "@stepstream/telemetry";
import { first, flaky, last } from "./trip.ts";

const bus = { nats: process.env.NATS_URL!, namespace: process.env.STEPSTREAM_NAMESPACE! };
const started = await startTelemetry({ serviceName: "test-worker" });
const worker = await createWorker({ ...bus, telemetry: createTelemetry(bus) })
  .handle(first, async () => {
    await Promise.resolve();
    trace.getTracer("test").startSpan("SELECT").end();
    return "a";
  })
  .handle(flaky, (input, ctx) => {
    if (ctx.attempt === 1) throw new Error("not yet");
    return `${input}b`;
  })
  .handle(last, (input) => `${input}c`)
  .start();
console.log("worker is ready");

process.on("SIGTERM", async () => {
  await worker.stop();
  await started.stop();
  process.exit(0);
});
