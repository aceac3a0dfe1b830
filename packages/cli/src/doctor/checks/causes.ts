import { setTimeout as sleep } from "node:timers/promises";
import { isTerminal, readableEvents } from "@stepstream/contracts";
import type { Stored } from "@stepstream/coordinator/audit";
import { type EventLog, systemClock } from "@stepstream/event-log";
import { check, counted, error, ok, some } from "../check.ts";

/** Of what is in progress something is not there for a moment. */
const AGAIN_MS = 1_000;
/** Live runs that are read, and for how long journals are looked through for them. */
const MOST = 2_000;
const BUDGET_MS = 2_500;
const CHUNK = 256;
const AT_A_TIME = 16;
/** Timers up to here may be kept in memory: the default of coordinators. */
const SHORT_TIMER_MS = 3_000;

interface Facts {
  /** Live runs that were compared; `all`: there were no others. */
  readonly runs: number;
  readonly all: boolean;
  /** What is missing, by run, in words. */
  readonly missing: ReadonlyMap<string, readonly string[]>;
}

/** What live runs wait for, compared with what is stored: what the auditor of the coordinators does, from outside. */
export const causes = check<Facts>({
  name: "causes",

  async look({ nc, namespace, now, offset }) {
    const { connectEventLog } = await import("@stepstream/event-log/jetstream");
    const log = await connectEventLog({ nats: nc, namespace, create: false, timeoutMs: 2_000 });
    try {
      return await compare(log, () => now() + (offset?.ms ?? 0));
    } finally {
      await log.close();
    }
  },

  judge({ runs, all, missing }) {
    if (missing.size === 0) {
      const whole = all ? "" : ", of more";
      return [ok("causes", `all that ${counted(runs, "live run")}${whole} wait for is stored`)];
    }
    const [[run, what]] = [...missing] as [[string, readonly string[]]];
    return [
      error(
        "causes",
        `${counted(missing.size, "run")} of ${runs} wait for what is not stored, or will not come, such as run ${run}: ${some(what)}`,
        "A coordinator that is up stores it again within a minute. If this stays, look at its log. Do not purge streams by hand.",
      ),
    ];
  },
});

async function compare(log: EventLog, now: () => number): Promise<Facts> {
  const { describeNeed, historyOf, listStored, missing, needsOf, StrandedCommands } = await import(
    "@stepstream/coordinator/audit"
  );
  const { partitions } = log.subjects;
  const deps = { log, clock: systemClock, warn: () => {}, stranded: new StrandedCommands(log, systemClock) };
  const found = new Map<string, readonly string[]>();
  const look = async (runs: readonly string[], stored: ReadonlyMap<number, Stored>) => {
    const missed = new Map<string, readonly string[]>();
    await each(runs, async (run) => {
      const history = await historyOf(deps, run, true);
      const its = stored.get(log.subjects.partition(run));
      if (!history || !its) return;
      const { needs } = needsOf(history);
      const absent = missing(needs, its.alive(run), { now: now(), shortTimerMs: SHORT_TIMER_MS });
      if (absent.length > 0) missed.set(run, absent.map(describeNeed));
    });
    return missed;
  };
  const storedIn = async (some: Iterable<number>) =>
    new Map(await Promise.all([...some].map(async (p) => [p, await listStored(deps, p)] as const)));

  const { runs, all } = await liveRuns(log);
  const first = await look(runs, await storedIn(Array.from({ length: partitions }, (_, p) => p)));
  if (first.size > 0) {
    await sleep(AGAIN_MS);
    const suspects = [...first.keys()];
    const second = await look(suspects, await storedIn(new Set(suspects.map((run) => log.subjects.partition(run)))));
    for (const [run, what] of second) if (what.some((one) => first.get(run)!.includes(one))) found.set(run, what);
  }
  return { runs: runs.length, all, missing: found };
}

/** Those that are neither over nor parked, as many as can be found in the time there is. */
async function liveRuns(log: EventLog): Promise<{ runs: string[]; all: boolean }> {
  const { subjects } = log;
  const until = performance.now() + BUDGET_MS;
  const journals = [...(await log.list("EVENTS", subjects.all.journals())).keys()];
  const parked = await log.list("EVENTS", `${subjects.namespace}.parked.>`);
  const runs: string[] = [];
  let from = 0;
  for (; from < journals.length && runs.length < MOST && performance.now() < until; from += CHUNK)
    for (const [subject, { text }] of await log.lasts(journals.slice(from, from + CHUNK))) {
      const run = subjects.parse(subject)?.run;
      if (run !== undefined && !parked.has(subjects.parked(run)) && !readableEvents(text).some(isTerminal))
        runs.push(run);
    }
  return { runs: runs.slice(0, MOST), all: from >= journals.length && runs.length <= MOST };
}

async function each(runs: readonly string[], act: (run: string) => Promise<void>): Promise<void> {
  const left = [...runs];
  const work = async () => {
    for (let run = left.pop(); run !== undefined; run = left.pop()) await act(run);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
}
