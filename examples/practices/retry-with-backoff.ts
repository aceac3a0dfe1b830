/**
 * Retries: so many attempts, with waits that grow up to a maximum and are drawn by chance (jitter), and a predicate
 * that says which errors are worth another attempt. Each failed attempt is on record, with the wait before the next.
 */

import { exponential, StepError, step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import type { Stage } from "./stage.ts";

export const about = "attempts, growing waits with jitter, a predicate; each attempt is on record with the next wait";

/** What the far side answered. */
class HttpError extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`the server answered ${status}`);
    this.status = status;
  }
}

const upload = step("upload", {
  input: z.object({ file: z.string() }),
  output: z.object({ attempts: z.int() }),
  retry: {
    maxAttempts: 5,
    backoff: exponential({ initial: "40ms", factor: 2, max: "100ms", jitter: "full" }),
    // What the server refuses for good, it will refuse again.
    retryIf: (error) => !(error instanceof HttpError && error.status < 500),
  },
});

const backup = workflow(
  "backup",
  { input: z.object({ file: z.string() }), output: z.object({ attempts: z.int() }) },
  ({ file }, w) => w.run(upload, { file }),
);

export async function play({ serve, client, say }: Stage) {
  await serve([backup], (worker) =>
    worker.handle(upload, ({ file }, ctx) => {
      if (file === "forbidden") throw new HttpError(403);
      if (ctx.attempt < 4) throw new HttpError(503);
      return { attempts: ctx.attempt };
    }),
  );
  const flaky = await client.start(backup, { file: "photos" });
  const { attempts } = await flaky.result();
  const log = (await flaky.history()).flatMap((entry) =>
    entry.kind === "attempt" && entry.message.type === "AttemptFailed" ? [{ ...entry.message, at: entry.at }] : [],
  );
  for (const { attempt, error, delayMs } of log)
    say(`attempt ${attempt} failed: ${error.message}; again in ${delayMs} ms`);
  say(`attempt ${attempts} succeeded`);

  const refused = await client.start(backup, { file: "forbidden" });
  const error = await refused.result().catch((thrown: unknown) => thrown);
  if (!(error instanceof StepError)) throw error;
  say(`not retried: ${error.message}`);
  return { attempts, log, error };
}
