import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { serverPort } from "../server/ports.ts";
import { tellReaper } from "../server/reaping.ts";
import { type FoundJaeger, findJaeger } from "./find.ts";

const HOST = "127.0.0.1";
const GRACE_MS = 5_000;

export interface StartJaegerOptions {
  /** Where it takes spans, by OTLP over HTTP. 4318 is usual; 0, the default, takes a free one. */
  otlpPort?: number;
  /** Where its page and its API are. 16686 is usual; 0, the default, takes a free one. */
  uiPort?: number;
  /** Takes its log, one line at a time. Default: silence. */
  log?: (line: string) => void;
  /** Default: what {@link findJaeger} finds, without building one. */
  found?: FoundJaeger;
}

/** A Jaeger that answers. It keeps the last 10,000 traces in memory. */
export interface Jaeger {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT, with OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf or http/json. */
  readonly otlpUrl: string;
  /** The page, and its API below `/api`. */
  readonly uiUrl: string;
  /** Whether there is a page: one that was built from the Go module has only the API. */
  readonly hasPage: boolean;
  readonly pid: number | undefined;
  /** Where to look at a trace: the page, or, without one, the trace as JSON. */
  traceUrl(traceId: string): string;
  /** Ends it; its traces go with it. */
  stop(): Promise<void>;
}

/**
 * Starts Jaeger for this machine only; resolves once it answers. It ends with this process, however that ends.
 *
 * @throws {JaegerNotFoundError} If there is none.
 * @throws {Error} If it ends before it is ready (its last lines are in the message), or a given port is taken.
 */
export async function startJaeger(options: StartJaegerOptions = {}): Promise<Jaeger> {
  const { otlpPort = 0, uiPort = 0, log = () => {} } = options;
  const found = options.found ?? (await findJaeger());
  for (let tries = 1; ; tries++) {
    const otlp = otlpPort || serverPort(Math.random());
    const ui = uiPort || serverPort(Math.random());
    try {
      const child = await launched(found.path, configuration(otlp, ui), log);
      const uiUrl = `http://${HOST}:${ui}`;
      // The page of a Jaeger that was built without one says so, and that it is a test page.
      const hasPage = !(await (await fetch(uiUrl)).text()).includes("<title>Test Page</title>");
      return {
        otlpUrl: `http://${HOST}:${otlp}`,
        uiUrl,
        hasPage,
        pid: child.pid,
        traceUrl: (traceId) => `${uiUrl}/${hasPage ? "trace" : "api/traces"}/${traceId}`,
        stop: () => ended(child),
      };
    } catch (error) {
      if ((otlpPort && uiPort) || !(error instanceof PortTakenError) || tries === 20) throw error;
    }
  }
}

/** Everything else that it could do needs a port, and is left out. */
function configuration(otlpPort: number, uiPort: number): string {
  return JSON.stringify({
    service: {
      extensions: ["jaeger_storage", "jaeger_query"],
      pipelines: { traces: { receivers: ["otlp"], exporters: ["jaeger_storage_exporter"] } },
      telemetry: { metrics: { level: "none" } },
    },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
      jaeger_query: {
        storage: { traces: "memory" },
        http: { endpoint: `${HOST}:${uiPort}` },
        grpc: { endpoint: `${HOST}:0` },
      },
    },
    receivers: { otlp: { protocols: { http: { endpoint: `${HOST}:${otlpPort}` } } } },
    exporters: { jaeger_storage_exporter: { trace_storage: "memory" } },
  });
}

class PortTakenError extends Error {}

/** Resolves when it says that it is ready, rejects when it ends before. */
async function launched(path: string, config: string, log: (line: string) => void): Promise<ChildProcess> {
  const child = spawn(path, ["--config", `yaml:${config}`], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: process.platform !== "win32", // Ctrl-C is for the parent, which then stops it in its own order
    windowsHide: true,
  });
  const last: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr! }).on("line", (line) => {
      log(line);
      if (last.push(line) > 3) last.shift();
      if (line.includes("Everything is ready")) resolve();
    });
    child.once("error", reject);
    child.once("spawn", () => tellReaper(`+${child.pid}`));
    child.once("exit", (code, signal) => {
      tellReaper(`-${child.pid}`);
      // The last lines may still be in the pipe.
      child.once("close", () => {
        const text = last.join("\n");
        const taken = text.includes("address already in use") || text.includes("Only one usage of each socket address");
        const message = `jaeger ended with ${signal ?? code} before it was ready:\n${text}`;
        reject(taken ? new PortTakenError(message) : new Error(message));
      });
    });
  });
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await exit;
  clearTimeout(timer);
}
