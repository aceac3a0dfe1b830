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
 * Off, and nothing is loaded, unless an OTLP endpoint or OTEL_TRACES_EXPORTER is set; off as well with
 * OTEL_SDK_DISABLED=true. Traces only: we have no metrics and no logs for it.
 *
 * @param options.serviceName - Unless OTEL_SERVICE_NAME says otherwise.
 */
export async function startTelemetry(options: {
  serviceName: string;
  env?: NodeJS.ProcessEnv;
}): Promise<StartedTelemetry> {
  const { serviceName, env = process.env } = options;
  const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  if (env.OTEL_SDK_DISABLED === "true" || env.OTEL_TRACES_EXPORTER === "none") return off;
  if (!endpoint && !env.OTEL_TRACES_EXPORTER) return off;

  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const named = env.OTEL_SERVICE_NAME || /(^|,)\s*service\.name=/.test(env.OTEL_RESOURCE_ATTRIBUTES ?? "");
  const sdk = new NodeSDK({
    ...(named ? {} : { serviceName }),
    idGenerator,
    metricReaders: [],
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
