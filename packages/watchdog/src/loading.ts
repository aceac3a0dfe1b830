import { placeOf } from "./frames.ts";
import { isStopping, watchEventLoop } from "./watch.ts";

const LIMIT_MS = 10_000;
const EXIT_MS = 2_000;

/**
 * Loads a module of the user's, or calls what it exports. Code of it that blocks the event loop at once, like a loop at
 * its top level, cannot be left: it would be in the middle of an import.
 *
 * @param what - The module, for the message.
 * @param giveUp - Called in the middle of code that has blocked the event loop for 10 s, with which module and which line:
 *   must end the process.
 */
export async function whileLoading<T>(
  what: string,
  load: () => T | Promise<T>,
  giveUp: (message: string) => void,
): Promise<T> {
  const end = ({ ms, frames }: { ms: number; frames: Parameters<typeof placeOf>[0] }) => {
    const seconds = (ms / 1_000).toFixed(0);
    giveUp(
      `${what} cannot be loaded: its code has blocked the event loop for ${seconds} s, at ${placeOf(frames, [])}. ` +
        "End the loop, or do the work where it is needed: a module has to be loaded at once.",
    );
  };
  const watch = watchEventLoop({
    stallMs: LIMIT_MS,
    onBlocked: (blocked) => !blocked.over && end(blocked),
    stoppedOverflown: (blocked) => {
      end(blocked);
      return true;
    },
  });
  // Where nothing else keeps the process alive, it ends as soon as the code was stopped: not before it is said whose it was.
  const onExit = () => {
    const until = performance.now() + EXIT_MS;
    while (isStopping() && performance.now() < until);
  };
  process.on("exit", onExit);
  try {
    return await load();
  } finally {
    process.off("exit", onExit);
    watch.stop();
  }
}
