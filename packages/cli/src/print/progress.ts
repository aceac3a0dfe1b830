import type { Io } from "../io.ts";

/** How far something is that has many parts. */
export interface ProgressBar {
  at(done: number, failed: number): void;
  /** Takes it away. */
  end(): void;
}

const EVERY_MS = 100;
/** Elsewhere than on a terminal. */
const LINE_EVERY_MS = 10_000;
const WIDTH = 24;

/**
 * Progress on standard error: a bar that is drawn again on a terminal, a line every ten seconds elsewhere, nothing with
 * `--json`.
 */
export function progressBar(io: Io, all: number): ProgressBar {
  const begin = io.now();
  let drawnAt = begin;
  let drawn = "";
  const n = (count: number) => count.toLocaleString("en");
  function text(done: number, failed: number): string {
    const perSecond = Math.round(done / Math.max(0.001, (io.now() - begin) / 1_000));
    return `${n(done)} of ${n(all)}, ${n(perSecond)}/s${failed > 0 ? `, ${n(failed)} failed` : ""}`;
  }
  return {
    at(done, failed) {
      if (io.json || io.now() - drawnAt < (io.err.isTTY ? EVERY_MS : LINE_EVERY_MS)) return;
      drawnAt = io.now();
      if (!io.err.isTTY) return void io.err.write(`${text(done, failed)}\n`);
      const full = Math.floor((done / all) * WIDTH);
      const line = `${"█".repeat(full)}${"░".repeat(WIDTH - full)} ${text(done, failed)}`.slice(
        0,
        (io.err.columns ?? 80) - 1,
      );
      io.err.write(`\r${line.padEnd(drawn.length)}`);
      drawn = line;
    },
    end() {
      if (drawn) io.err.write(`\r${" ".repeat(drawn.length)}\r`);
      drawn = "";
    },
  };
}
