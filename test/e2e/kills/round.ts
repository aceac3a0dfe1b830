import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { connect } from "@stepstream/sdk";
import { startTestServer } from "../../support/nats.ts";
import { Program } from "../outage/programs.ts";
import { stumble } from "./stumble.ts";

const STUMBLE = fileURLToPath(new URL("stumble.ts", import.meta.url));

export interface RoundOptions {
  runs: number;
  /** How often the server is killed. */
  kills: number;
  everyMs?: number;
  /** How long a run may take after the last kill. */
  patienceMs?: number;
  /** How long leftovers may take to be removed after all runs have ended. */
  sweepMs?: number;
  /** Is given a line for each phase. */
  report?: (line: string) => void;
}

export interface Round {
  /** Runs that had not ended in time. */
  standing: string[];
  /** When the last run ended, after the server was back from the last kill. */
  lastMs: number;
  /** What was stored of commands and timers when the last run had ended, and when the sweep was over. */
  leftAtEnd: number;
  left: string[];
  /** What the coordinators have logged. */
  repaired: number;
  swept: number;
}

/**
 * One round: two coordinators and two workers, each a process; runs with a retry and stored timers, a third of them cancelled; the
 * server is killed (SIGKILL) again and again. Then every run ends, and nothing is left.
 */
export async function round({
  runs,
  kills,
  everyMs = 5_000,
  patienceMs = 60_000,
  sweepMs = 120_000,
  report = () => {},
}: RoundOptions): Promise<Round> {
  const server = await startTestServer();
  const namespace = `kills-${process.pid}`;
  const env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace };
  const start = (service: "coordinator" | "step-worker") => new Program(service, env, [], STUMBLE);
  const programs = [start("coordinator"), start("coordinator"), start("step-worker"), start("step-worker")];
  try {
    await Promise.all(programs.map((program) => program.says(/ runs | is ready/)));
    const client = await connect({ nats: server.url, namespace });
    const log = await connectEventLog({ nats: server.url, namespace });
    const all = await Promise.all(Array.from({ length: runs }, (_, n) => client.start(stumble, n, { id: `r${n}` })));
    const cancels = all
      .filter((_, n) => n % 3 === 0)
      .map(async (run, i) => {
        await sleep((i % 10) * ((kills * everyMs) / 10));
        // It may have ended.
        await run.cancel({ grace: "1s" }).catch(() => {});
      });
    for (let i = 0; i < kills; i++) {
      await sleep(everyMs);
      await server.kill();
      await server.restart();
    }
    const backAt = performance.now();
    await Promise.all(cancels);
    let lastMs = 0;
    const standing: string[] = [];
    await Promise.all(
      all.map(async (run) => {
        const signal = AbortSignal.timeout(patienceMs);
        await run.result({ signal }).catch((error) => {
          if (error?.code !== "WORKFLOW_CANCELLED") standing.push(`${run.id}: ${error}`);
        });
        lastMs = Math.max(lastMs, Math.round(performance.now() - backAt));
      }),
    );
    report(`the last run ended ${lastMs} ms after the last kill, ${standing.length} have not`);
    const stored = async () => [...(await log.list("COMMANDS", ">")).keys(), ...(await log.list("TIMERS", ">")).keys()];
    let left = await stored();
    const leftAtEnd = left.length;
    report(`${leftAtEnd} commands and timers were left, e.g. ${left[0]}`);
    for (const until = performance.now() + sweepMs; left.length > 0 && performance.now() < until; left = await stored())
      await sleep(1_000);
    const logged = (event: string) =>
      programs.flatMap((program) => program.lines.filter((line) => line.event === event)).length;
    await client.close();
    await log.close();
    return { standing, lastMs, leftAtEnd, left, repaired: logged("repaired"), swept: logged("swept") };
  } finally {
    await Promise.all(programs.map((program) => program.end("SIGKILL")));
    await server.stop();
  }
}
