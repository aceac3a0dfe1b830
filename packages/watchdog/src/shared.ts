/** What the main thread and the watching thread share: places in an `Int32Array` over shared memory. */
export const BEATS = 0;
/** 1 while a debugger can be attached to this process: nothing is done then. */
export const INSPECTED = 1;
/** After how many milliseconds a silence is a stall; 0 while nothing is watched. */
export const STALL_MS = 2;
/** 1 from before code is stopped without having been held until the main thread has reacted to that. */
export const STOPPING = 3;
/** How many of those who watch can say afterwards whose code was stopped. */
export const STOPPABLE = 4;
export const PLACES = 5;

/** How often the main thread says that its event loop turns, and how often the other one looks. */
export const BEAT_MS = 250;

/** The object on `globalThis` that the watching thread calls while it holds the main thread. */
export const HOOK = "stepstream.watchdog";

/** What the main thread answers about the code that it was held in. */
export interface Looked {
  /** Whose code it is; undefined if it is nobody's who is watched. */
  readonly what: string | undefined;
  /** May it be stopped? */
  readonly stop: boolean;
  /** Was it held in code other than that of Node.js? */
  readonly placed: boolean;
  /** May the debugger hold it? */
  readonly holdable: boolean;
}

/** What the watching thread tells the main thread when that turns again. */
export type Told = { readonly type: "stopped" } | { readonly type: "over"; readonly ms: number };

/** What the watching thread, which imports nothing, is given of the above. */
export interface Places {
  readonly BEATS: number;
  readonly INSPECTED: number;
  readonly STALL_MS: number;
  readonly STOPPABLE: number;
  readonly STOPPING: number;
  readonly BEAT_MS: number;
  readonly HOOK: string;
}
