import { type Duration, durationMs, MAX_TIMER_MS } from "@stepstream/contracts";
import { startTelemetry } from "@stepstream/telemetry";
import { type Env, giveUp, oneOf, orGiveUp, portOf, waitOf } from "./arguments.ts";
import { words } from "./events.ts";
import { serveHealth } from "./health.ts";
import { createLog, FORMATS, LEVELS, type Log } from "./log.ts";
import { type ShutdownPlan, shutdownPlan } from "./shutdown.ts";

/** What {@link optionsOf} make of the arguments. */
export interface Values {
  namespace: string;
  "connect-timeout": string;
  "metrics-port": string;
  "health-port": string;
  "shutdown-timeout": string;
  "log-level": string;
  "log-format": string;
  quiet: boolean;
}

/** What a program runs. */
interface Service {
  /** Finishes what is under way. */
  stop(): Promise<void>;
  /** Why it cannot take work now; undefined: it can. */
  readonly notReady: string | undefined;
}

/** A program that is starting or runs. */
export interface Program {
  readonly log: Log;
  /** How long to wait for a server at the start, in milliseconds: for `connectEventLog`. */
  readonly waitMs: number;
  /** How the time after SIGTERM is spent. */
  readonly shutdown: ShutdownPlan;
  /**
   * It runs. Notifies a parent process that started it with a channel, and waits for SIGTERM or SIGINT: then
   * the service is stopped, and the program ends. A second signal ends it at once, and so does the end of its time.
   */
  ready(service: Service): void;
  /** It cannot run: logs why, and ends it with 1. */
  fail(error: unknown): never;
}

/** Exit codes of programs that a signal has ended. */
const KILLED = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * Begins a program: its log, its telemetry and its health, as options and environment say. To be called before anything
 * that traces is made or loaded. Ends the program in words if an option makes no sense, or a port is not to be had.
 *
 * @param name - Its service name, and its name in the log.
 * @param env - Of it, the OTEL_* variables are read.
 * @param drainMs - How long what is under way may finish on shutdown, if that was asked for.
 */
export async function startProgram(name: string, values: Values, env: Env, drainMs?: number): Promise<Program> {
  const { level, format, metricsPort, healthPort, waitMs, patienceMs } = orGiveUp(() => settings(values));
  const log = await createLog({ name, namespace: values.namespace, level, format });
  const telemetry = await startTelemetry({ serviceName: name, scraped: metricsPort !== undefined, env });
  const shutdown = shutdownPlan(patienceMs, drainMs);
  let service: Service | undefined;
  let stopping = false;

  // From the beginning: the first process of a container is not ended by a signal that it does not handle.
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      if (stopping || !service) process.exit(KILLED[signal]);
      stopping = true;
      void end(service, signal);
    });

  async function end(running: Service, signal: keyof typeof KILLED): Promise<void> {
    log.info(`${signal}: finishing what is under way, for at most ${shutdown.endMs / 1_000} s`);
    setTimeout(
      () => {
        log.error({ event: "unfinished" }, `not finished after ${shutdown.endMs / 1_000} s; other processes take over`);
        process.exit(1);
      },
      Math.min(shutdown.endMs, MAX_TIMER_MS),
    );
    try {
      await running.stop();
    } catch (error) {
      fail(error);
    }
    await telemetry.stop();
    // Who presses Ctrl-C has interrupted it; who sends SIGTERM wants it to end, and it has ended well.
    process.exit(signal === "SIGINT" ? KILLED.SIGINT : 0);
  }

  function fail(error: unknown): never {
    log.fatal({ err: error }, words(error));
    process.exit(1);
  }

  function notReady(): string | undefined {
    if (stopping) return "it is shutting down";
    return service ? service.notReady : "it is starting";
  }

  const { serveMetrics } = telemetry;
  const host = env.OTEL_EXPORTER_PROMETHEUS_HOST;
  for (const [option, port] of Object.entries({ "--metrics-port": metricsPort, "--health-port": healthPort })) {
    if (port === undefined || (option === "--health-port" && port === metricsPort)) continue;
    const served = { notReady, ...(option === "--metrics-port" && { serveMetrics }) };
    const at = await serveHealth(port, host, served).catch((error: Error) =>
      giveUp(`${option} ${port}: cannot listen (${error.message}). Use another port.`),
    );
    log.info(
      { event: "listening", at, option },
      `${option === "--metrics-port" ? "metrics and health" : "health"} at ${at}`,
    );
  }

  return {
    log,
    waitMs,
    shutdown,
    ready(running) {
      service = running;
      process.send?.("ready");
    },
    fail,
  };
}

/** @throws {RangeError} An option makes no sense. */
function settings(values: Values) {
  const patience = values["shutdown-timeout"];
  return {
    level: oneOf("--log-level", LEVELS, values["log-level"] || (values.quiet ? "warn" : "info")),
    format: oneOf("--log-format", FORMATS, values["log-format"] || (process.stdout.isTTY ? "pretty" : "json")),
    waitMs: waitOf("--connect-timeout", values["connect-timeout"]),
    metricsPort: portOf("--metrics-port", values["metrics-port"]),
    healthPort: portOf("--health-port", values["health-port"]),
    patienceMs: patience ? durationMs(patience as Duration, "--shutdown-timeout") : undefined,
  };
}
