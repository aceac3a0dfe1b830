/**
 * Durable activities: work of hours, in a process that may be killed. Heartbeats show that it is alive, and carry how
 * far it is; when they stop, another worker goes on from there. Who does it is in durable-activities.handlers.ts.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type RunHandle, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "a worker is killed half-way; its heartbeats stop, and another goes on from where it was";

export const Transcript = z.object({
  pages: z.int(),
  /** The page that the attempt which finished it began with. */
  from: z.int(),
  attempt: z.int(),
  /** The process it was. */
  by: z.int(),
});

export const transcribe = step("transcribe", {
  input: z.object({ pages: z.int() }),
  output: Transcript,
  // Longer silence, and the attempt is another worker's.
  heartbeat: "1s",
});

const book = workflow("book", { input: z.object({ pages: z.int() }), output: Transcript }, (input, w) =>
  w.run(transcribe, input),
);

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** The worker program, as it would be started on any machine. */
function startWorker({ nats, namespace }: Stage["bus"]): ChildProcess {
  const program = [path("../../services/step-worker/src/main.ts"), path("./durable-activities.handlers.ts")];
  return spawn(process.execPath, [...program, "--nats", nats, "--namespace", namespace, "--quiet"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** Resolves once a heartbeat with details is stored: only what is stored can be gone on from. */
async function heartbeatOf(run: RunHandle): Promise<number> {
  for (;;) {
    for (const entry of await run.history())
      if (entry.kind === "attempt" && entry.message.type === "AttemptHeartbeat")
        return (entry.message.details as { done: number }).done;
    await sleep(50);
  }
}

export async function play({ bus, serve, client, say }: Stage) {
  await serve([book]);
  const workers: ChildProcess[] = [];
  const hire = () => {
    const child = startWorker(bus);
    workers.push(child);
    return child;
  };
  try {
    const first = hire();
    const run = await client.start(book, { pages: 60 });
    const stored = await heartbeatOf(run);
    first.kill("SIGKILL");
    await once(first, "exit");
    say(`process ${first.pid} was killed after it had reported page ${stored}`);

    const second = hire();
    const result = await run.result();
    say(`process ${result.by} went on at page ${result.from} and finished page ${result.pages}`);
    return { stored, result, killed: first.pid, successor: second.pid };
  } finally {
    for (const worker of workers) if (worker.exitCode === null && worker.signalCode === null) worker.kill("SIGKILL");
  }
}
