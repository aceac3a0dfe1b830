import type { ParseArgsOptionsConfig } from "node:util";
import { type Duration, durationMs } from "@stepstream/contracts";

/** The options that all programs take, for `parseArgs`. A variable of the environment is the default of each. */
export const OPTIONS = {
  nats: { type: "string", default: process.env.NATS_URL || "nats://127.0.0.1:4222" },
  namespace: { type: "string", default: process.env.STEPSTREAM_NAMESPACE || "default" },
  "connect-timeout": { type: "string", default: process.env.STEPSTREAM_CONNECT_TIMEOUT ?? "" },
  "metrics-port": { type: "string", default: process.env.STEPSTREAM_METRICS_PORT ?? "" },
  "log-level": { type: "string", default: process.env.STEPSTREAM_LOG_LEVEL ?? "" },
  "log-format": { type: "string", default: process.env.STEPSTREAM_LOG_FORMAT ?? "" },
  quiet: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const satisfies ParseArgsOptionsConfig;

/** The same, for people. */
export const OPTIONS_HELP = `\
  --nats <url>          default: NATS_URL, or nats://127.0.0.1:4222
  --namespace <name>    default: STEPSTREAM_NAMESPACE, or "default"
  --connect-timeout <t> how long to wait at the start for a server that does not answer yet, such as 30s or 5m;
                        default: STEPSTREAM_CONNECT_TIMEOUT, or as long as it takes
  --metrics-port <n>    metrics for Prometheus at http://…:<n>/metrics; default: STEPSTREAM_METRICS_PORT, or none
  --log-level <level>   debug, info, warn, error or silent; default: STEPSTREAM_LOG_LEVEL, or info
  --log-format <name>   json or pretty; default: STEPSTREAM_LOG_FORMAT, or pretty in a terminal and else json
  --quiet               only trouble is logged: --log-level warn
  -h, --help`;

/** Ends the program in words if its arguments cannot be read. */
export function orGiveUp<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return giveUp(`${(error as Error).message}\nSee --help.`, 2);
  }
}

/** Prints how the program is used, and ends it. @param asked - Somebody wanted to know; else it is a wrong usage. */
export function help(text: string, asked: boolean): never {
  console.log(text);
  process.exit(asked ? 0 : 2);
}

/** What went wrong before there was a log: in words and not in a stack. Ends the program. */
export function giveUp(error: unknown, code = 1): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(code);
}

/** @throws {RangeError} It is none of them. */
export function oneOf<const T extends string>(option: string, choices: readonly T[], said: string): T {
  if (choices.includes(said as T)) return said as T;
  throw new RangeError(`${option} takes ${choices.join(", ")}, not "${said}".`);
}

/** @throws {RangeError} It is no port. @returns undefined for "". */
export function portOf(option: string, said: string): number | undefined {
  if (!said) return undefined;
  const port = Number(said);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new RangeError(`${option}: "${said}" is no port.`);
}

/** @throws {RangeError} It is not a duration. @returns Milliseconds; Infinity for "". */
export function waitOf(option: string, said: string): number {
  return said ? durationMs(said as Duration, option) : Number.POSITIVE_INFINITY;
}
