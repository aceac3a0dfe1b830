import { startTelemetry } from "@stepstream/telemetry";
import { oneOf, orGiveUp, portOf, waitOf } from "./arguments.ts";
import { words } from "./events.ts";
import { createLog, FORMATS, LEVELS, type Log } from "./log.ts";

/** What {@link OPTIONS} make of the arguments. */
export interface Values {
  namespace: string;
  "connect-timeout": string;
  "metrics-port": string;
  "log-level": string;
  "log-format": string;
  quiet: boolean;
}

/** A program that is starting or runs. */
export interface Program {
  readonly log: Log;
  /** How long to wait for a server at the start, in milliseconds: for `connectEventLog`. */
  readonly waitMs: number;
  /**
   * It runs. Tells whoever started it with a channel, as process managers do, and waits for SIGTERM or SIGINT: then
   * `stop` ends its work, and it ends. A second signal ends it at once.
   */
  ready(stop: () => Promise<void>): void;
  /** It cannot run: logs why, and ends it with 1. */
  fail(error: unknown): never;
}

/**
 * Begins a program: its log and its telemetry, as options and environment say. To be called before anything that
 * traces is made or loaded. Ends the program in words if an option makes no sense.
 *
 * @param name - Its service name, and its name in the log.
 */
export async function startProgram(name: string, values: Values): Promise<Program> {
  const { level, format, metricsPort, waitMs } = orGiveUp(() => settings(values));
  const log = await createLog({ name, namespace: values.namespace, level, format });
  const telemetry = await startTelemetry({ serviceName: name, metricsPort });
  let stopWork: (() => Promise<void>) | undefined;
  let stopping = false;
  // From the beginning: the first process of a container is not ended by a signal that it does not handle.
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, async () => {
      if (stopping) process.exit(130);
      if (!stopWork) process.exit(signal === "SIGINT" ? 130 : 143);
      stopping = true;
      log.info(`${signal}: finishing what is under way`);
      await stopWork();
      await telemetry.stop();
      // Who presses Ctrl-C has interrupted it; who sends SIGTERM wants it to end, and it has ended well.
      process.exit(signal === "SIGINT" ? 130 : 0);
    });
  return {
    log,
    waitMs,
    ready(stop) {
      stopWork = stop;
      process.send?.("ready");
    },
    fail(error) {
      log.fatal({ err: error }, words(error));
      process.exit(1);
    },
  };
}

/** @throws {RangeError} An option makes no sense. */
export function settings(values: Values) {
  return {
    level: oneOf("--log-level", LEVELS, values["log-level"] || (values.quiet ? "warn" : "info")),
    format: oneOf("--log-format", FORMATS, values["log-format"] || (process.stdout.isTTY ? "pretty" : "json")),
    waitMs: waitOf("--connect-timeout", values["connect-timeout"]),
    metricsPort: portOf("--metrics-port", values["metrics-port"]),
  };
}
