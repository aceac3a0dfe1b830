/** What the tests of the command line play on: a real nats-server, a coordinator, a worker, and commands run in process. */
import { readdir } from "node:fs/promises";
import { Readable } from "node:stream";
import { runCli } from "@stepstream/cli";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { type Client, connect, fixed, step, workflow } from "@stepstream/sdk";
import { createWorker, type Worker } from "@stepstream/step-worker";
import { z } from "zod";
import { startTestServer, type TestServer } from "../support/nats.ts";

export const add = step("add", {
  input: z.object({ a: z.number(), b: z.number() }),
  output: z.number(),
  retry: { maxAttempts: 3, backoff: fixed("20ms") },
});
/** Does not come back until `Scene.release` is called, or it is cancelled. */
export const hold = step("hold", { input: z.object({}), output: z.string(), retry: { maxAttempts: 1 } });
/** Fails until the circuit breaker opens. */
export const broken = step("broken", {
  input: z.object({}),
  output: z.void(),
  retry: { maxAttempts: 50, backoff: fixed("5ms") },
  breaker: { failures: 3, cooldown: "10m" },
});

/** Adds numbers; 13 fails for good, 7 at the first attempt. */
export const sum = workflow("sum", { input: z.array(z.number()), output: z.number() }, async (numbers, w) => {
  let total = 0;
  for (const [index, number] of numbers.entries()) {
    total = await w.run(add, { a: total, b: number });
    w.progress({ step: index + 1, total: numbers.length, name: `added ${number}` });
  }
  return total;
});
export const approval = workflow(
  "approval",
  {
    input: z.object({ what: z.string() }),
    output: z.object({ by: z.string() }),
    signals: { approve: z.object({ by: z.string() }) },
    queries: { state: z.object({ what: z.string() }) },
    updates: { rename: { input: z.string().min(3), output: z.string() } },
  },
  async ({ what }, w) => {
    w.onQuery("state", () => ({ what }));
    w.onUpdate("rename", async (name) => {
      what = name;
      return what;
    });
    const said = await w.waitFor("approve", { timeout: "1h" });
    return { by: said?.by ?? "nobody" };
  },
);
export const holding = workflow("holding", { input: z.object({}).optional(), output: z.string() }, (_, w) =>
  w.run(hold, {}),
);
export const breaking = workflow("breaking", { input: z.object({}).optional(), output: z.void() }, (_, w) =>
  w.run(broken, {}),
);

export const parent = workflow("parent", { input: z.object({}).optional(), output: z.string() }, (_, w) =>
  w.child(holding, {}, { id: `${w.runId}-held` }),
);

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export interface Scene {
  readonly server: TestServer;
  readonly namespace: string;
  readonly client: Client;
  readonly coordinator: Coordinator;
  readonly worker: Worker;
  /** Lets all handlers of `hold` return. */
  release(): void;
  /** Runs a command of the command line in this process, as if in a pipe. */
  run(args: string | readonly string[], surroundings?: Surroundings): Promise<Ran>;
  stop(): Promise<void>;
}

export interface Surroundings {
  env?: Record<string, string>;
  stdin?: string;
  /** As if on a terminal of that many columns. */
  columns?: number;
  signal?: AbortSignal;
  cwd?: string;
  /** Called with all that was written to `out` so far. */
  onOut?(out: string): void;
}

/** Commands load what they do when they are used. Here that is done beforehand: tests measure how long they take. */
const ACTIONS = new URL("../../packages/cli/src/actions/", import.meta.url);
for (const file of await readdir(ACTIONS)) await import(new URL(file, ACTIONS).href);

let scenes = 0;

export async function setScene(): Promise<Scene> {
  const server = await startTestServer();
  const namespace = `cli-${process.pid}-${++scenes}`;
  const bus = { nats: server.url, namespace };
  let release = Promise.withResolvers<void>();
  const coordinator = await createCoordinator({
    ...bus,
    workflows: [sum, approval, holding, breaking, parent],
  }).start();
  const worker = await createWorker({ ...bus, logger: { info() {}, warn() {}, error() {}, debug() {} } as never })
    .handle(add, ({ a, b }, ctx) => {
      if (b === 13) throw new Error("13 brings no luck");
      if (b === 7 && ctx.attempt === 1) throw new Error("7 never works at first");
      return a + b;
    })
    .handle(hold, async (_, ctx) => {
      const aborted = new Promise<never>((_, reject) =>
        ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason)),
      );
      await Promise.race([release.promise, aborted]);
      return "released";
    })
    .handle(broken, () => {
      throw new Error("the far side is down");
    })
    .start();
  const client = await connect(bus);
  return {
    server,
    namespace,
    client,
    coordinator,
    worker,
    release() {
      release.resolve();
      release = Promise.withResolvers<void>();
    },
    run: (args, surroundings) => cli(args, { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace }, surroundings),
    async stop() {
      release.resolve();
      await client.close();
      await worker.stop({ drainMs: 0 });
      await coordinator.stop();
      await server.stop();
    },
  };
}

/** Runs a command in this process. Without the line that says which server and namespace are in use: see `cliWhole`. */
export async function cli(...args: Parameters<typeof cliWhole>): Promise<Ran> {
  const { code, out, err } = await cliWhole(...args);
  return { code, out, err: err.replace(/^\P{L}*\d*m?using \S+ .*namespace ".*"\P{L}*\d*m?\n/u, "") };
}

/** Runs a command in this process. */
export async function cliWhole(
  args: string | readonly string[],
  env: Record<string, string>,
  { env: more = {}, stdin = "", columns, signal, cwd = ".", onOut }: Surroundings = {},
): Promise<Ran> {
  let [out, err] = ["", ""];
  const sink = (take: (text: string) => void) => ({
    write: take,
    ...(columns !== undefined && { isTTY: true, columns, rows: 40 }),
  });
  const code = await runCli(typeof args === "string" ? args.split(/ +/) : args, {
    in: Readable.from([stdin]),
    out: sink((text) => {
      out += text;
      onOut?.(out);
    }),
    err: sink((text) => {
      err += text;
    }),
    env: { XDG_CONFIG_HOME: "/nonexistent", ...env, ...more },
    cwd,
    signal: signal ?? new AbortController().signal,
    now: Date.now,
  });
  return { code, out, err };
}
