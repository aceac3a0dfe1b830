import type { Where } from "@stepstream/contracts";
import type { LoggerOption } from "./logger.ts";

/** What a worker has in hand, and where it logs to. */
export interface ExitLogged {
  readonly logger: LoggerOption;
  readonly name: string;
  attempts(): Iterable<Where>;
}

/** At most so many are named. */
const NAMED_MAX = 20;
const workers = new Set<ExitLogged>();

/**
 * Logs what a worker has in hand when its process exits: by `process.exit()`, or by an exception that nothing catches. What
 * ends a process at once (SIGKILL, out of memory, a native crash) lets nothing be logged: for that, see suspect.ts.
 *
 * @returns What ends it.
 */
export function logAtExit(worker: ExitLogged): () => void {
  if (workers.size === 0) process.on("exit", atExit);
  workers.add(worker);
  return () => {
    workers.delete(worker);
    if (workers.size === 0) process.off("exit", atExit);
  };
}

function atExit(exitCode: number): void {
  for (const { logger, name, attempts } of workers) {
    const inHand = [...attempts()];
    if (inHand.length === 0) continue;
    const named = inHand.slice(0, NAMED_MAX).map(({ run, step, slot, attempt }) => ({ run, step, slot, attempt }));
    const many = inHand.length === 1 ? "an attempt" : `${inHand.length} attempts`;
    const what = `the process exits with code ${exitCode} while worker ${name} has ${many} in hand, which will start again`;
    logger.error(what, { attempts: named });
  }
}
