import type { Readable } from "node:stream";

/** Where a command writes, and what it knows of its surroundings. Tests bring their own. */
export interface Io {
  readonly in: Readable;
  readonly out: Sink;
  /** Progress, hints and errors: what is not the answer. */
  readonly err: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds. */
  now(): number;
}

export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
}

/** One Ctrl-C comes twice, where a launcher such as npm hands it on as well. */
const ONCE_MS = 300;

/** The real ones. */
export function processIo(): Io {
  const interrupted = new AbortController();
  let since = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (!interrupted.signal.aborted) {
        since = Date.now();
        interrupted.abort(new Interrupted());
      } else if (Date.now() - since > ONCE_MS) process.exit(130);
    });
  // Whoever reads the answer may have seen enough: `stepstream ls | head -1`.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    in: process.stdin,
    out: process.stdout,
    err: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: interrupted.signal,
    now: Date.now,
  };
}

/** Why `Io.signal` is aborted. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
  }
}
