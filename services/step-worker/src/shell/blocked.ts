import type { Where } from "@stepstream/contracts";
import { foldersOf, placeOf, type Watch, watchEventLoop } from "@stepstream/watchdog";
import type { WorkerEvent } from "./deps.ts";
import { attempts } from "./running.ts";

/** Frames of our own are not where a handler blocks; the SDK has the guard round clocks and randomness. */
const OWN: readonly string[] = /[\\/]shell[\\/]blocked\.[jt]s$/.test(import.meta.url ?? "")
  ? foldersOf([new URL("../", import.meta.url).href, import.meta.resolve("@stepstream/sdk")])
  : []; // In a bundle all code is in one file.

/** Reports code that blocks the event loop, handlers above all. It is not stopped. */
export function reportBlocked(stallMs: number | undefined, emit: (event: WorkerEvent) => void): Watch {
  return watchEventLoop({
    ...(stallMs === undefined ? {} : { stallMs }),
    suspect: () => {
      const where = attempts.getStore()?.where;
      return where && { what: `${where.run} ${where.slot} ${where.attempt}`, about: where };
    },
    onBlocked: ({ ms, frames, over }, suspect) => {
      const where = placeOf(frames, OWN);
      const { run, step, slot, attempt } = (suspect?.about ?? {}) as Partial<Where>;
      const place = run === undefined ? {} : { run, step: step!, slot: slot!, attempt: attempt! };
      emit({ type: "blocked", ms, where, over, ...place });
    },
    onStopped: () =>
      emit({
        type: "trouble",
        what: "go on after workflow code in this process was stopped: attempts may be lost until another worker takes them. Run workers and coordinators in processes of their own",
        error: new Error("V8 dropped the pending microtasks of this process"),
      }),
    onFailed: (error) => emit({ type: "trouble", what: "watch the event loop", error }),
  });
}
