import type { Io } from "../io.ts";
import { type Paint, painter } from "../print/colour.ts";
import { innermostFrames } from "../view/stack.ts";
import { workerNames } from "./worker-names.ts";

export type Style = Parameters<Paint>[0];

const WORKERS: readonly Style[] = ["magenta", "blue", "magentaBright", "blueBright"];

/** The one log of `stepstream dev`: a line each, with its time and whose it is. */
export class DevLog {
  readonly paint: Paint;
  readonly coloured: boolean;
  readonly #io: Io;
  readonly #styles: ReadonlyMap<string, Style>;
  readonly #width: number;

  constructor(io: Io, workers: number) {
    this.#io = io;
    this.paint = painter(io, io.out);
    this.coloured = this.paint("red", "x") !== "x";
    const names = workerNames(workers);
    this.#styles = new Map<string, Style>([
      ["nats", "yellow"],
      ["run", "green"],
      ["coordinator", "cyan"],
      ...names.map((name, i): [string, Style] => [name, WORKERS[i % WORKERS.length]!]),
    ]);
    this.#width = Math.max(...[...this.#styles.keys()].map((name) => name.length));
  }

  line(source: string, text: string, style?: Style): void {
    if (this.#io.json) {
      const at = new Date(this.#io.now()).toISOString();
      return void this.#io.out.write(`${JSON.stringify({ at, source, text })}\n`);
    }
    const time = new Date(this.#io.now()).toTimeString().slice(0, 8);
    const who = this.paint(this.#styles.get(source) ?? "gray", `${source.padEnd(this.#width)} │`);
    this.#io.out.write(`${this.paint("gray", time)} ${who} ${style ? this.paint(style, text) : text}\n`);
  }

  /** Without time and source: the banner. */
  raw(text: string): void {
    if (this.#io.json) return;
    this.#io.out.write(`${text}\n`);
  }
}

/** pino's numbers, https://getpino.io: what is worth a colour. */
const LEVELS: [from: number, style: Style][] = [
  [50, "red"],
  [40, "yellow"],
];
/** Fields of a structured line that say nothing to whoever sits before this machine. */
const OMITTED = new Set(
  ["level", "time", "pid", "hostname", "name", "namespace", "msg", "v"].concat(["trace_id", "span_id", "trace_flags"]),
);
/** What the programs' own lines, which have an `event`, say in their message already. */
const IN_MESSAGE = new Set(
  ["event", "step", "attempt", "delayMs", "via", "err", "what"].concat([
    "coordinator",
    "worker",
    "peers",
    "nats",
    "breaker",
    "state",
  ]),
);

/** A line that a process printed, for people: a structured one as its message and what comes with it. */
export function readable(line: string, cwd: string): { text: string; style?: Style } {
  const said = structured(line);
  if (!said) return { text: line };
  const fields = Object.entries(said).filter(([key]) => !OMITTED.has(key) && !("event" in said && IN_MESSAGE.has(key)));
  const text = [said.msg, ...fields.map(([key, value]) => `${key}=${shown(value)}`)].join(" ");
  const frames = "event" in said ? innermostFrames((said as { err?: unknown }).err, cwd) : [];
  const style = LEVELS.find(([from]) => said.level >= from)?.[1];
  return { text: [text, ...frames.map((frame) => `    ${frame}`)].join("\n"), ...(style && { style }) };
}

function structured(line: string): { level: number; msg: string } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value = JSON.parse(line);
    return typeof value.level === "number" && typeof value.msg === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function shown(value: unknown): string {
  if (typeof value === "string" && /^\S+$/.test(value)) return value;
  // An error as pino writes it: its stack is for the log files.
  const { type, message, stack } = (value ?? {}) as Record<string, unknown>;
  return JSON.stringify(typeof stack === "string" ? `${type}: ${message}` : value);
}
