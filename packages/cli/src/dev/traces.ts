import * as infra from "@stepstream/infra";
import { CliError } from "../errors.ts";

/** A Jaeger that takes the traces of `stepstream dev`. */
export interface DevTraces {
  /** Where to look. */
  readonly uiUrl: string;
  /** What sends the traces of a process there. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

interface Jaeger {
  otlpUrl: string;
  uiUrl: string;
  stop(): Promise<void>;
}
interface WithJaeger {
  startJaeger?: (options: { otlpPort?: number; uiPort?: number; log?: (line: string) => void }) => Promise<Jaeger>;
}

/** Starts Jaeger with its page at its usual port. @throws {CliError} There is none on this machine. */
export async function devTraces(): Promise<DevTraces> {
  const { startJaeger } = infra as WithJaeger;
  if (!startJaeger) throw new CliError("--traces: this version of Stepstream cannot start Jaeger.");
  const jaeger = await startJaeger({ uiPort: UI_PORT }).catch((error: Error) => {
    if (/address already in use|Only one usage/.test(error.message)) return startJaeger({});
    throw new CliError(`--traces: ${error.message}`);
  });
  return {
    uiUrl: jaeger.uiUrl,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.otlpUrl, OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
    stop: () => jaeger.stop(),
  };
}

const UI_PORT = 16_686;
