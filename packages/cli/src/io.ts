import type { Readable } from "node:stream";

/** Where a command writes, and what it knows of its surroundings. Tests bring their own. */
export interface Io {
  readonly in: Readable;
  readonly out: Sink;
  /** Progress, hints and errors: what is not the answer. */
  readonly err: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted by the first SIGINT or SIGTERM, where a second one ends the process; and when nobody reads `out` any more. */
  readonly signal: AbortSignal;
  /** Whether the answer is JSON: then errors are, too, and hints are not printed. */
  readonly json?: boolean;
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

/** What has not ended after so long is a command that waits. */
const WAITS_MS = 300;

/** The real ones. @param env - The variables of the environment: main.ts alone reads them. */
export function processIo(env: Io["env"]): Io {
  const ended = new AbortController();
  let since = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (!ended.signal.aborted) {
        since = Date.now();
        ended.abort(new Interrupted(signal));
      } else if (Date.now() - since > ONCE_MS) process.exit(130);
    });
  // Whoever reads the answer may have seen enough: `stepstream ls | head -1`. It shows with the next thing that is written,
  // or, for a command that waits, at once.
  const gone = () => ended.abort(new ReaderGone());
  setTimeout(async () => {
    const { whenReaderGone } = await import("./reader.ts");
    whenReaderGone(process.stdout.fd, gone);
  }, WAITS_MS).unref();
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "EIO" && error.code !== "ERR_STREAM_DESTROYED") throw error;
      gone();
    });
  return {
    in: process.stdin,
    out: process.stdout,
    err: process.stderr,
    env,
    cwd: process.cwd(),
    signal: ended.signal,
    now: Date.now,
  };
}

/** Why `Io.signal` is aborted: somebody wants it to end. */
export class Interrupted extends Error {
  readonly by: "SIGINT" | "SIGTERM";
  constructor(by: "SIGINT" | "SIGTERM" = "SIGINT") {
    super("interrupted");
    this.by = by;
  }
}

/** Why `Io.signal` is aborted: nobody reads what it writes. */
export class ReaderGone extends Error {
  constructor() {
    super("nobody reads on");
  }
}
