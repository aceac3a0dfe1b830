import { idGenerator } from "./id-generator.ts";

export interface StartedTelemetry {
  /** Sends what is left, then ends. Waits at most 5 s for a collector that does not answer. */
  stop(): Promise<void>;
}

const STOP_MS = 5_000;
const off: StartedTelemetry = { stop: async () => {} };

/**
 * Sets up the OpenTelemetry SDK for a program, as the OTEL_* variables say. To be called by `main.ts`, before
 * anything that traces is made.
 *
 * Off, and nothing is loaded, unless an OTLP endpoint, OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER or a metrics port is
 * set; off as well with OTEL_SDK_DISABLED=true. Traces and metrics each have their "none".
 *
 * @param options.serviceName - Unless OTEL_SERVICE_NAME says otherwise.
 * @param options.metricsPort - A Prometheus endpoint, `http://<host>:<port>/metrics`, beside what the variables say. The
 * host is OTEL_EXPORTER_PROMETHEUS_HOST, by default all.
 */
export async function startTelemetry(options: {
  serviceName: string;
  metricsPort?: number | undefined;
  env?: NodeJS.ProcessEnv;
}): Promise<StartedTelemetry> {
  const { serviceName, metricsPort, env = process.env } = options;
  const { traces, metrics } = wishes(env, metricsPort);
  if (!traces && !metrics) return off;
  if (metricsPort !== undefined) {
    // The SDK reads the rest from the environment, so this is told it there.
    process.env.OTEL_METRICS_EXPORTER = exporters(env).join(",");
    process.env.OTEL_EXPORTER_PROMETHEUS_PORT = String(metricsPort);
  }
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const { envDetector, hostDetector, serviceInstanceIdDetector } = await import("@opentelemetry/resources");
  const named = env.OTEL_SERVICE_NAME || /(^|,)\s*service\.name=/.test(env.OTEL_RESOURCE_ATTRIBUTES ?? "");
  const sdk = new NodeSDK({
    ...(named ? {} : { serviceName }),
    idGenerator,
    // Not the process: its arguments may hold a password.
    ...(env.OTEL_NODE_RESOURCE_DETECTORS
      ? {}
      : { resourceDetectors: [envDetector, hostDetector, serviceInstanceIdDetector] }),
    ...(traces ? {} : { spanProcessors: [] }),
    ...(metrics ? {} : { metricReaders: [] }),
    logRecordProcessors: [],
  });
  sdk.start();
  return {
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_MS);
      });
      // A collector that is down is no reason for a program to end badly.
      await Promise.race([sdk.shutdown().catch(() => {}), patience]);
      clearTimeout(timer);
    },
  };
}

/** What is to be told, and whether at all. Pure. */
export function wishes(env: NodeJS.ProcessEnv, metricsPort?: number): { traces: boolean; metrics: boolean } {
  if (env.OTEL_SDK_DISABLED === "true") return { traces: false, metrics: false };
  const everywhere = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const wish = (exporter: string | undefined, endpoint: string | undefined) =>
    exporter !== "none" && Boolean(exporter || endpoint || everywhere);
  return {
    traces: wish(env.OTEL_TRACES_EXPORTER, env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    metrics: metricsPort !== undefined || wish(env.OTEL_METRICS_EXPORTER, env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT),
  };
}

/** A metrics port comes on top of what the variables ask for. */
function exporters(env: NodeJS.ProcessEnv): string[] {
  const { OTEL_METRICS_EXPORTER: asked } = env;
  const others = wishes(env).metrics ? (asked ? asked.split(",") : ["otlp"]) : [];
  return [...new Set([...others.map((one) => one.trim()), "prometheus"])];
}
