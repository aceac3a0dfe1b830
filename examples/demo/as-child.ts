import { createTelemetry, startTelemetry, type Telemetry } from "@stepstream/telemetry";

interface ServiceOptions {
  nats: string;
  namespace: string;
  telemetry: Telemetry;
  /** Failures on purpose are in the history; what is said here is what should not be. */
  onEvent: (event: { type: string; what?: string; error?: unknown }) => void;
}

/** Runs a service as a child of the demo: it says when it is ready, and ends when it is told to or when its parent is gone. */
export async function asChild(
  name: string,
  start: (options: ServiceOptions) => Promise<{ stop(): Promise<void> }>,
): Promise<void> {
  const [nats, namespace] = process.argv.slice(2) as [string, string];
  const traces = await startTelemetry({ serviceName: `demo-${name}` });
  const onEvent: ServiceOptions["onEvent"] = ({ type, what, error }) => {
    if (type === "trouble") console.error(`${name}: ${what}:`, error);
  };
  const service = await start({ nats, namespace, telemetry: createTelemetry({ namespace }), onEvent });
  const stop = async () => {
    await service.stop();
    await traces.stop();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("disconnect", stop);
  process.send?.("ready");
}
