/** A role is a process: a coordinator, a worker or a client, of the engine or of the bare bus. */
export interface Setting {
  nats: string;
  namespace: string;
  shape: string;
}

/** What a client is asked to do. */
export interface Load {
  /** Runs under way at a time; a new one starts when one ends. */
  concurrency: number;
  /** Runs are started for so long, in milliseconds; those under way are then waited for. */
  durationMs: number;
}

/** What came of it. */
export interface Sample {
  runs: number;
  /** From the first start to the last end, in milliseconds. */
  tookMs: number;
  /** From start to end of each run, as its client sees it, in milliseconds; sorted. */
  latenciesMs: number[];
  lastRun: string;
}

export type Order = { type: "measure"; load: Load } | { type: "cpu" };
export type Answer = { type: "ready" } | { type: "sample"; sample: Sample } | { type: "cpu"; micros: number };

/**
 * The life of a role's process: set up, say so, answer until the parent goes.
 *
 * @param setUp - Resolves, for a client, with what starts a run and resolves with its id when it has ended.
 */
export async function play(setUp: (setting: Setting) => Promise<(() => Promise<string>) | undefined>): Promise<void> {
  const runOnce = await setUp(JSON.parse(process.argv[2]!) as Setting);
  const answer = (message: Answer) => process.send!(message);
  process.on("disconnect", () => process.exit(0));
  process.on("message", async (order: Order) => {
    if (order.type === "cpu") {
      const { user, system } = process.cpuUsage();
      return answer({ type: "cpu", micros: user + system });
    }
    answer({ type: "sample", sample: await measure(runOnce!, order.load) });
  });
  answer({ type: "ready" });
}

async function measure(runOnce: () => Promise<string>, { concurrency, durationMs }: Load): Promise<Sample> {
  const latenciesMs: number[] = [];
  let lastRun = "";
  const begin = performance.now();
  const until = begin + durationMs;
  const keepBusy = async () => {
    while (performance.now() < until) {
      const since = performance.now();
      lastRun = await runOnce();
      latenciesMs.push(performance.now() - since);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, keepBusy));
  const tookMs = performance.now() - begin;
  return { runs: latenciesMs.length, tookMs, latenciesMs: latenciesMs.sort((a, b) => a - b), lastRun };
}
