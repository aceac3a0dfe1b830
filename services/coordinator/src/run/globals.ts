import { isSchemaCode } from "@stepstream/contracts";
import { addGuardSource } from "@stepstream/sdk/guard";
import { ownUncaught } from "@stepstream/sdk/uncaught";
import { frames } from "./frame.ts";
import { Rejections } from "./rejections.ts";

/**
 * Tells the guard of the SDK which code belongs to which run, and watches for rejections that nothing handles and
 * exceptions that nothing catches. Done once, when the first coordinator starts.
 */
export function guardGlobals(): void {
  if (guarded) return;
  guarded = true;
  addGuardSource(() => frames.getStore()?.execution);
  ownUncaught(() => {
    const frame = frames.getStore();
    if (!frame) return undefined;
    return (error) => {
      frame.execution.onUncaught(frame, error);
      // Node sets an immediate before it goes on, which workflow code may not.
      frames.enterWith(undefined as never);
    };
  });
  process.on("unhandledRejection", onUnhandledRejection);
  process.on("rejectionHandled", onRejectionHandled);
}

let guarded = false;

/** In these modes Node warns or throws whether there is a listener or not. */
const NOT_BY_LISTENERS = /--unhandled-rejections[= ](warn|strict)\b(?!-)/;
// biome-ignore lint/style/noProcessEnv: it is read by Node, not by us; nothing else says how Node treats rejections
const options = () => [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ");

/**
 * A rejection that nothing handles counts at the end of the workflow function. Other code gets what Node does by default
 * or by `--unhandled-rejections`: it is rejected once more, while this listener is not there.
 */
function onUnhandledRejection(reason: unknown, promise: Promise<unknown>): void {
  if (isSchemaCode()) return;
  const frame = frames.getStore();
  // What only looks has changed nothing by failing.
  if (frame?.readOnly) return;
  if (frame) return frame.rejections.unhandled(promise, reason);
  if (process.listenerCount("unhandledRejection") > 1 || NOT_BY_LISTENERS.test(options())) return;
  process.off("unhandledRejection", onUnhandledRejection);
  setImmediate(() => process.on("unhandledRejection", onUnhandledRejection));
  void Promise.reject(reason);
}

/** Without a listener of its own, a process gets Node's warning. */
function onRejectionHandled(promise: Promise<unknown>): void {
  if (Rejections.handled(promise) || process.listenerCount("rejectionHandled") > 1) return;
  process.emitWarning("Promise rejection was handled asynchronously", "PromiseRejectionHandledWarning");
}
