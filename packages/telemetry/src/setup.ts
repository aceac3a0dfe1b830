import type { IncomingMessage, ServerResponse } from "node:http";
import { idGenerator } from "./id-generator.ts";

export interface StartedTelemetry {
  /** Answers a request for metrics, in the format of Prometheus. Absent where no metrics port was asked for. */
  readonly serveMetrics?: (request: IncomingMessage, response: ServerResponse) => void;
  /** Sends what is left, then ends. Waits at most 2 s for a collector that does not answer. */
  stop(): Promise<void>;
}

const STOP_MS = 2_000;
const off: StartedTelemetry = { stop: async () => {} };

/**
 * Sets up the OpenTelemetry SDK for a program, as the OTEL_* variables say. To be called by `main.ts`, before
 * anything that traces is made.
 *
 * Off, and nothing is loaded, unless an OTLP endpoint, OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER or a metrics port is
 * set; off as well with OTEL_SDK_DISABLED=true. Traces and metrics each have their "none".
 *
 * @param options.serviceName - Unless OTEL_SERVICE_NAME says otherwise.
 * @param options.scraped - Whether the program serves metrics for Prometheus itself (`serveMetrics`), beside what the
 * variables say.
 */
export async function startTelemetry(options: {
  serviceName: string;
  scraped?: boolean;
  env?: Readonly<Record<string, string | undefined>>;
}): Promise<StartedTelemetry> {
  // biome-ignore lint/style/noProcessEnv: programs of users call it with a name only, as they do the SDK of OpenTelemetry
  const { serviceName, scraped = false, env = process.env } = options;
  const { traces, metrics } = wishes(env, scraped);
  if (!traces && !metrics) return off;
  // The SDK reads its exporters from the environment. Prometheus is served by the program instead, beside its health.
  // biome-ignore lint/style/noProcessEnv: that is where the SDK looks; it has no option for it
  if (scraped) process.env.OTEL_METRICS_EXPORTER = exportersBesides(env, "prometheus").join(",") || "none";
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
  const prometheus = scraped ? await prometheusReader(sdk) : undefined;
  sdk.start();
  return {
    ...(prometheus && {
      serveMetrics: (request, response) => prometheus.getMetricsRequestHandler(request, response),
    }),
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

/**
 * A reader for Prometheus without a server of its own.
 *
 * The SDK takes its readers from its options or from the environment, not from both, so it is added to those that the SDK
 * has made from the environment.
 */
async function prometheusReader(sdk: object) {
  const { PrometheusExporter } = await import("@opentelemetry/exporter-prometheus");
  const reader = new PrometheusExporter({ preventServerStart: true });
  (sdk as { _meterProviderConfig: { readers: object[] } })._meterProviderConfig.readers.push(reader);
  return reader;
}

/** What is exported, and whether anything is. Pure. @param scraped - The program serves metrics itself. */
export function wishes(env: NodeJS.ProcessEnv, scraped = false): { traces: boolean; metrics: boolean } {
  if (env.OTEL_SDK_DISABLED === "true") return { traces: false, metrics: false };
  const everywhere = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const wish = (exporter: string | undefined, endpoint: string | undefined) =>
    exporter !== "none" && Boolean(exporter || endpoint || everywhere);
  return {
    traces: wish(env.OTEL_TRACES_EXPORTER, env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    metrics: scraped || wish(env.OTEL_METRICS_EXPORTER, env.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT),
  };
}

/** The exporters of metrics that the variables ask for, but for one. */
function exportersBesides(env: NodeJS.ProcessEnv, besides: string): string[] {
  const { OTEL_METRICS_EXPORTER: asked } = env;
  const all = wishes(env).metrics ? (asked ? asked.split(",") : ["otlp"]) : [];
  return [...new Set(all.map((one) => one.trim()))].filter((one) => one !== besides);
}
