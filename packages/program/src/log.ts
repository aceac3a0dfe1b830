import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";

export const LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type Level = (typeof LEVELS)[number];
export const FORMATS = ["json", "pretty"] as const;

/** pino's: `log.info({ run }, "message")`. */
export type Log = Logger;

export interface LogOptions {
  /** The program's, on every line. */
  name: string;
  /** On every line. */
  namespace: string;
  level: Level;
  /** "json": a line each, for machines. "pretty": for people, coloured where colours are seen and NO_COLOR is not set. */
  format: (typeof FORMATS)[number];
  /** Default: standard output. Every line has been written when the call returns, so that none is lost at the end. */
  out?: DestinationStream;
}

/** On every line, and of no use to whoever sits before the one program that says them. */
const KNOWN = ["pid", "hostname", "name", "namespace", "event"];

export async function createLog({ name, namespace, level, format, out }: LogOptions): Promise<Log> {
  const options = { name, level, serializers: { error: stdSerializers.err } };
  const stream = format === "pretty" ? await prettyStream(out) : (out ?? pino.destination({ dest: 1, sync: true }));
  return pino(options, stream).child({ namespace });
}

/** Loaded where it is wanted only. */
async function prettyStream(out: DestinationStream | undefined): Promise<DestinationStream> {
  const { default: pretty, isColorSupported } = await import("pino-pretty");
  return pretty({
    colorize: !out && isColorSupported,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: KNOWN.join(","),
    singleLine: true,
    ...(out ? { destination: out as never } : { destination: 1, sync: true }),
  });
}

/** A worker's `logger` that writes to it: message first, fields second. */
export function asLogger(log: Log) {
  const at = (level: Exclude<Level, "silent">) => (message: string, fields?: object) =>
    log[level](fields ?? {}, message);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
