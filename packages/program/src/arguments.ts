import type { ParseArgsOptionsConfig } from "node:util";
import { type Duration, durationMs } from "@stepstream/contracts";
import {
  CONNECTION_FLAGS,
  COORDINATOR_FLAGS,
  type Connection,
  connectionOf,
  type Flag,
  NAMESPACE_FLAG,
  type NatsFlags,
  PROGRAM_FLAGS,
  WAIT_FLAG,
  WORKER_FLAGS,
} from "./connection/index.ts";

type Text = { readonly type: "string" };
type Texts = { readonly [F in (typeof CONNECTION_FLAGS)[number]["name"]]: Text };

/** The variables of the environment, as a program's main.ts has them. */
export type Env = Readonly<Record<string, string | undefined>>;

/** The options that all programs take, for `parseArgs`. A variable of the environment is the default of each. */
export function optionsOf(env: Env) {
  return {
    ...(Object.fromEntries(CONNECTION_FLAGS.map(({ name }) => [name, { type: "string" }])) as Texts),
    namespace: { type: "string", short: "n", default: env.STEPSTREAM_NAMESPACE || "default" },
    "connect-timeout": { type: "string", default: env.STEPSTREAM_CONNECT_TIMEOUT ?? "" },
    "metrics-port": { type: "string", default: env.STEPSTREAM_METRICS_PORT ?? "" },
    "health-port": { type: "string", default: env.STEPSTREAM_HEALTH_PORT ?? "" },
    "shutdown-timeout": { type: "string", default: env.STEPSTREAM_SHUTDOWN_TIMEOUT ?? "" },
    "log-level": { type: "string", default: env.STEPSTREAM_LOG_LEVEL ?? "" },
    "log-format": { type: "string", default: env.STEPSTREAM_LOG_FORMAT ?? "" },
    quiet: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  } as const satisfies ParseArgsOptionsConfig;
}

const WIDTH = 120;

/** An option for people: what it takes, what it means, and which variable says the same. */
function optionHelp({ name, value, about, variable }: Omit<Flag, "variable"> & { variable?: string }): string {
  const option = `  --${name} ${value}`.padEnd(32);
  const words = `${about}${variable ? ` (${variable})` : ""}`.split(" ");
  const lines = [""];
  for (const word of words) {
    const line = lines.at(-1)!;
    if (line.length + 1 + word.length > WIDTH - option.length) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return `${option}${lines.join(`\n${" ".repeat(option.length)}`)}`;
}

/** {@link optionsOf} for people. */
export const OPTIONS_HELP = [
  ...[...CONNECTION_FLAGS, NAMESPACE_FLAG].map(optionHelp),
  optionHelp({ ...WAIT_FLAG, about: `${WAIT_FLAG.about} (default: as long as it takes)` }),
  ...PROGRAM_FLAGS.map(optionHelp),
  optionHelp({ name: "quiet", value: "", about: "only what is wrong is logged: --log-level warn" }),
  "  -h, --help",
].join("\n");

/** The options of a coordinator for people. */
export const COORDINATOR_HELP = COORDINATOR_FLAGS.map(optionHelp).join("\n");

/** The options of a worker for people. */
export const WORKER_HELP = WORKER_FLAGS.map(optionHelp).join("\n");

/** Where a program connects, by its arguments and the environment: as the command line. Ends it in words if that fails. */
export async function connectionOfProgram(
  values: {
    [F in keyof Texts]?: string | undefined;
  },
  env: Env,
): Promise<Connection> {
  const { "tls-cert": tlsCert, "tls-key": tlsKey, "tls-ca": tlsCa, "inbox-prefix": inboxPrefix, ...rest } = values;
  const flags: NatsFlags = { ...rest, tlsCert, tlsKey, tlsCa, inboxPrefix };
  return connectionOf(flags, env, process.cwd()).catch((error) => giveUp(error, 2));
}

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
