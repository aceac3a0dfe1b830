import { giveUp, load, type Told, toldClock, toldConnection, toldDenial, words } from "@stepstream/program";
import type { AnyStep } from "@stepstream/sdk";
import { whileLoading } from "@stepstream/watchdog";
import type { Place, WorkerEvent } from "./shell/deps.ts";
import type { Handler, Worker } from "./worker.ts";

/** Gives a worker the `handlers` that a module exports. @returns How many it had, 0 or 1. */
export async function loadHandlers(module: string, worker: Worker): Promise<number> {
  type Handlers = readonly { step: AnyStep; handler: Handler<any> }[] | ((worker: Worker) => unknown);
  const { handlers } = (await load(module)) as { handlers?: Handlers };
  if (typeof handlers === "function") await whileLoading(`handlers of ${module}`, () => handlers(worker), giveUp);
  else if (Array.isArray(handlers)) for (const { step, handler } of handlers) worker.handle(step, handler);
  else return 0;
  return 1;
}

/** What a worker's log says. */
export const told: Told<WorkerEvent> = {
  attempt: ["debug", (event) => `${place(event)} begins`],
  completed: ["debug", (event) => `${place(event)} is completed`],
  retrying: [
    "warn",
    (event) => `${place(event)} failed, again in ${Math.round(event.delayMs)} ms: ${words(event.error)}`,
  ],
  failed: ["error", (event) => `${place(event)} failed for good: ${words(event.error)}`],
  cancelled: ["debug", (event) => `${place(event)} is cancelled`],
  "handed-back": ["info", (event) => `${place(event)} is handed back: ${words(event.error)}`],
  superseded: ["debug", (event) => `${place(event)} is another worker's`],
  "started-twice": [
    "warn",
    (event) =>
      `${place(event)} was started twice: another worker has had it meanwhile; what this start came to is dropped`,
  ],
  settled: ["debug", (event) => `${place(event)} had its outcome already`],
  "left-behind": ["error", (event) => `${place(event)} ignored its signal and was left behind`],
  dead: ["error", ({ error }) => `a message went to the dead letters: ${words(error)}`],
  breaker: ["warn", ({ breaker, state }) => `circuit breaker "${breaker}" is ${state}`],
  blocked: [
    "warn",
    ({ ms, where, over, step }) =>
      `${step ? `step "${step}"` : "some code"} ${over ? "blocked" : "blocks"} the event loop for ${ms} ms, at ${where}`,
  ],
  connection: ["warn", toldConnection],
  clock: ["warn", toldClock],
  denied: ["error", toldDenial],
  trouble: ["warn", ({ what, error }) => `${what}: ${words(error)}`],
};

/** Run and slot are fields of the line. */
function place({ step, attempt }: Place): string {
  return `attempt ${attempt} of step "${step}"`;
}
