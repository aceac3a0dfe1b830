/**
 * Makes docs/images/trace.svg: plays a journey, and draws what Jaeger's API has of it.
 *
 *   node test/e2e/telemetry/picture.ts
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { findJaeger, startJaeger, startNatsServer } from "@stepstream/infra";
import { drawTrace } from "./draw.ts";
import { Processes } from "./processes.ts";
import { playJourney } from "./scenario.ts";

const file = new URL("../../../docs/images/trace.svg", import.meta.url);
const found = await findJaeger();
const server = await startNatsServer();
const jaeger = await startJaeger({ found });
const bus = { nats: server.url, namespace: "default", run: "journey-1" };
process.env.TAKES_MS = "60";
const { trace } = await playJourney(bus, jaeger, new Processes(server.url, bus.namespace, jaeger.otlpUrl), {
  kill: false,
});
await jaeger.stop();
await server.stop();
mkdirSync(new URL(".", file), { recursive: true });
const note = `Drawn by test/e2e/telemetry/picture.ts from what the API of Jaeger ${found.version} returned. Dots are events.`;
writeFileSync(file, drawTrace(trace, note));
