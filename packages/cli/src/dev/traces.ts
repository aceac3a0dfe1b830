import { JaegerNotFoundError, startJaeger } from "@stepstream/infra";

/** A Jaeger that takes the traces of `stepstream dev`. */
export interface DevTraces {
  /** Where to look. */
  readonly at: string;
  /** What makes a process send its traces there. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const PAGE_PORT = 16_686;

/**
 * Starts Jaeger, its page at the usual port if that is free.
 *
 * @returns undefined if there is none on this machine: `say` is told, and what to do.
 */
export async function devTraces(say: (line: string) => void): Promise<DevTraces | undefined> {
  try {
    const jaeger = await startJaeger({ uiPort: PAGE_PORT }).catch((error) => {
      if (error instanceof JaegerNotFoundError) throw error;
      return startJaeger(); // that port is taken
    });
    return {
      at: jaeger.hasPage ? jaeger.uiUrl : jaeger.traceUrl("<trace id>"),
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        OTEL_METRICS_EXPORTER: "none",
      },
      stop: () => jaeger.stop(),
    };
  } catch (error) {
    if (!(error instanceof JaegerNotFoundError)) throw error;
    for (const line of error.message.split("\n")) say(line);
    return undefined;
  }
}
