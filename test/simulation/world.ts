import { createBoundary, createCoordinator, UnansweredError } from "@stepstream/coordinator";
import { type Faults, type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { createWorker } from "@stepstream/step-worker";
import { Chance } from "./chance.ts";
import { countedMacrotask, VirtualClock } from "./clock.ts";
import { check, spell, tell } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { beat, patient, undo, work, workflows } from "./model.ts";

export interface Outcome {
  seed: number;
  faults: string[];
  /** The shortest history among the runs that went wrong. */
  history: string | undefined;
  /** How often each kind of mishap happened. */
  mishaps: Record<string, number>;
  runs: number;
  virtualMs: number;
}

const quiet = () => {};
const silent = { debug: quiet, info: quiet, warn: quiet, error: quiet };
/** As measured on nats-server 2.15.1: up to 114 ms. */
const FORGOTTEN_MS = 120;
const FAULTY_MS = 90_000;
const LIMIT_MS = 40 * 60_000;

/**
 * One simulated world: coordinators and workers (the real code) on the log in memory, with mishaps for a minute
 * and a half, then none. After that every run must end, and everything must have been as promised.
 *
 * @param trace - Hears of everything that processes do, a line each.
 */
export async function simulate(seed: number, runs: number, trace?: (line: string) => void): Promise<Outcome> {
  const chance = new Chance(seed);
  const clock = new VirtualClock(chance.next);
  const ledger = new Ledger();
  const mishaps: Record<string, number> = {};
  const count = (what: string) => {
    mishaps[what] = (mishaps[what] ?? 0) + 1;
  };
  let faulty = true;
  let restartedAt = Number.NEGATIVE_INFINITY;
  const ids: string[] = [];
  const over = () => !faulty && ids.every((run) => ended(server, run));
  const t0 = clock.now();
  const note = (who: string, what: string) => trace?.(`+${Math.round(clock.now() - t0)} ${who} ${what}`);
  const boundary = createBoundary(countedMacrotask);

  // Ids that are soon forgotten show what rests on them alone.
  const dedupeMs = chance.pick([120_000, 300]);
  // Each world has weather of its own: some are calm but for crashes, some lose every tenth message.
  const weather = {
    crash: chance.pick([0, 0.0005, 0.002, 0.006]),
    lose: chance.pick([0, 0.01, 0.05]),
    loseAck: chance.pick([0, 0.02, 0.2]),
    stale: chance.pick([0, 50, 1_500]),
    latency: chance.pick([0.5, 3, 30, 300]),
    cut: chance.pick([0, 8_000, 3_000]),
    restart: chance.pick([0, 0, 20_000]),
    pause: chance.pick([0, 0, 15_000, 6_000]),
  };
  const members = new Map<string, { log: MemoryLog; frozenAt: number }>();

  const faults: Faults = {
    timeoutMs: 2_000,
    latencyMs: () => chance.exponential(faulty ? weather.latency : 1),
    loses(what) {
      if (!faulty || !chance.is(what === "ack" || what === "broadcast" ? weather.loseAck : weather.lose)) return false;
      count(`lost ${what}`);
      return true;
    },
    staleMs: () => (faulty && chance.is(0.5) ? weather.stale : 0),
    timerLateMs: () => chance.int(250),
    onEffect(process, effect) {
      if (trace) note(process, effect);
      if (!faulty || process === "client" || !chance.is(weather.crash)) return;
      crash(process);
    },
  };
  const server = new MemoryServer({ namespace: "sim", partitions: 3, clock, faults, dedupeMs });

  const noteEvent = (who: string, event: object) =>
    trace &&
    note(
      who,
      JSON.stringify(event, (_key, value) => (value instanceof Error ? value.message : value)),
    );

  // ---------------------------------------------------------------- processes

  function crash(name: string): void {
    const member = members.get(name);
    if (!member) return;
    count("crash");
    note(name, "crashes");
    member.log.kill();
    members.delete(name);
    clock.setTimeout(() => boot(name), 100 + chance.exponential(2_000));
  }

  function boot(name: string): void {
    const log = server.connect(name);
    members.set(name, { log, frozenAt: Number.NEGATIVE_INFINITY });
    const started = name.startsWith("c") ? bootCoordinator(name, log) : bootWorker(name, log);
    started.catch((error) => {
      // The log was away while it started; a process manager would start it again.
      if (members.get(name)?.log !== log) return;
      count(`failed start: ${(error as { code?: string }).code}`);
      crash(name);
    });
  }

  function bootCoordinator(name: string, log: MemoryLog): Promise<unknown> {
    const settings = { graceMs: 6_000, idleMs: 4_000, hotRuns: 3, unparkMs: 10_000 };
    const onEvent = (event: { type: string; error?: unknown; what?: string }) => {
      noteEvent(name, event);
      if (event.type === "parked") ledger.fault(`parked: ${(event.error as Error).message}`);
      if (event.type === "dead") ledger.fault(`dead letter: ${(event.error as Error).message}`);
      if (event.type === "moved" || event.type === "rebuilt") count(event.type);
      const code = (event.error as { code?: string } | undefined)?.code;
      if (event.type === "trouble" && code !== "LOG_UNAVAILABLE" && !(event.error instanceof UnansweredError))
        ledger.fault(`trouble: ${event.what}: ${(event.error as Error)?.stack ?? event.error}`);
    };
    return createCoordinator({ log, clock: log.clock, workflows, boundary, settings, onEvent }).start();
  }

  function bootWorker(name: string, log: MemoryLog): Promise<unknown> {
    const wait = (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const timer = log.clock.setTimeout(resolve, ms);
        signal.addEventListener("abort", () => {
          log.clock.clearTimeout(timer);
          // Most clean up and heed their signal; now and then one does not.
          if (!chance.is(0.05)) log.clock.setTimeout(() => reject(signal.reason), chance.int(500));
        });
      });
    const tryIt = async (input: { ms: number; fails: number; final?: boolean | undefined }, context: any) => {
      checkStart(context);
      const ms = chance.exponential(input.ms);
      for (let left = ms; left > 0; left -= 1_000) {
        await wait(Math.min(left, 1_000), context.signal);
        if (context.step === "beat") context.heartbeat({ left });
      }
      if (input.final) throw Object.assign(new Error("final"), { retry: "never" });
      if (chance.is(input.fails)) throw new Error("by chance");
      return context.slot;
    };
    return createWorker({
      log,
      clock: log.clock,
      name,
      cleanUpMs: 2_000,
      logger: silent,
      onEvent: (event) => {
        noteEvent(name, event);
        if (event.type === "trouble" && (event.error as { code?: string }).code !== "LOG_UNAVAILABLE")
          ledger.fault(`worker trouble: ${event.what}: ${(event.error as Error).stack}`);
        if (event.type === "dead") ledger.fault(`dead command: ${event.error.message}`);
      },
    })
      .handle(work, tryIt)
      .handle(beat, tryIt)
      .handle(patient, tryIt)
      .handle(undo, async (_input, context) => {
        checkStart(context);
        await wait(chance.exponential(200), context.signal);
        if (chance.is(0.1)) throw new Error("undo by chance");
      })
      .start();
  }

  /** What must be so whenever a handler is called. */
  function checkStart({ run, slot, step }: { run: string; slot: number; step: string }): void {
    const { subjects } = server;
    const journal = server
      .stream("EVENTS")
      .of(subjects.journal(run))
      .map((stored) => JSON.parse(stored.text));
    const events = journal.flatMap((decision) => decision.events);
    const decided = events.some((e: any) => e.type === "StepScheduled" && e.slot === slot && e.step === step);
    if (!decided) ledger.fault(`slot ${slot} of run ${run} is run (${step}) before its decision is in the journal`);
    // Guarantee 4: only what a process that was frozen does may start a slot again that has an outcome.
    const frozenAt = Math.max(...[...members.values()].map((member) => member.frozenAt));
    const outcome = server
      .stream("EVENTS")
      .of(subjects.inbox(run))
      .find((stored) => {
        const message = JSON.parse(stored.text);
        return (
          message.slot === slot && /^(Step(Completed|Failed|Cancelled)|SlotTimedOut|SlotAbandoned)$/.test(message.type)
        );
      });
    if (!outcome || clock.now() - frozenAt <= 20_000) return;
    // A server that is killed forgets the acknowledgements of its last moments (not the messages).
    if (outcome.at <= restartedAt && restartedAt - outcome.at < FORGOTTEN_MS + 10 * weather.latency) return;
    const command = server
      .stream("COMMANDS")
      .of(subjects.command(step, run, slot))
      .at(-1);
    if (command && command.at > outcome.at)
      ledger.fault(`slot ${slot} of run ${run} is published again ${command.at - outcome.at} ms after its outcome`);
    if (clock.now() - outcome.at > 500 + 10 * weather.latency)
      ledger.fault(`slot ${slot} of run ${run} is started again ${clock.now() - outcome.at} ms after its outcome`);
  }

  /**
   * Guarantee 6: a run that has started and not ended lives by something durable: a command that is out, a stored
   * timer, an inbox message that is not acknowledged. Looked at from outside, at any moment, whoever is dead just then.
   */
  function checkCauses(): void {
    const { subjects } = server;
    const listed = (kind: "COMMANDS" | "TIMERS") => [...server.stream(kind).list(">").keys()].join(" ");
    const causes = `${listed("COMMANDS")} ${listed("TIMERS")} `;
    for (const run of ids) {
      const inbox = subjects.inbox(run);
      if (server.stream("EVENTS").lastOf(inbox) === 0 || ended(server, run)) continue;
      const alive = causes.includes(`.${run}.`) || server.isUndone(inbox, `inbox-${subjects.partition(run)}`);
      if (!alive) ledger.fault(`run ${run} lives by nothing that is stored`);
    }
    if (!over()) clock.setTimeout(checkCauses, 250);
  }

  // ---------------------------------------------------------------- mishaps

  function mishap(what: "cut" | "pause", meanMs: number): void {
    if (meanMs === 0) return;
    clock.setTimeout(() => {
      if (!faulty) return;
      const name = chance.pick([...members.keys()]);
      const member = members.get(name);
      if (member) {
        count(what);
        const ms = chance.exponential(what === "cut" ? 800 : 5_000);
        note(name, `${what} for ${Math.round(ms)} ms`);
        if (what === "cut") member.log.cut(ms);
        else {
          member.frozenAt = clock.now() + ms;
          member.log.pause(ms);
        }
      }
      mishap(what, meanMs);
    }, chance.exponential(meanMs));
  }

  /** The server itself is killed, and comes back on the same store: what was just acknowledged is forgotten. */
  function restartNowAndThen(): void {
    if (weather.restart === 0) return;
    clock.setTimeout(() => {
      if (!faulty) return;
      count("restart");
      note("server", "is killed and restarted");
      restartedAt = clock.now();
      server.restart({ downMs: chance.exponential(500), forgetMs: FORGOTTEN_MS });
      restartNowAndThen();
    }, chance.exponential(weather.restart));
  }

  const names = ["c1", "c2", "w1", "w2", ...(chance.is(0.5) ? ["c3"] : [])];
  for (const name of names) clock.setTimeout(() => boot(name), chance.int(2_000));
  mishap("cut", weather.cut);
  restartNowAndThen();
  mishap("pause", weather.pause);

  // ---------------------------------------------------------------- what is asked of it

  const client = server.connect("client");
  clock.setTimeout(checkCauses, 250);
  const say = async (run: string, message: object, options: { expectLast?: number; id?: string }) => {
    for (;;) {
      try {
        return await client.append(client.subjects.inbox(run), JSON.stringify({ v: 1, ...message }), options);
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "WRONG_LAST_SEQUENCE") return undefined;
        if (code !== "LOG_UNAVAILABLE") throw error;
      }
    }
  };
  for (let i = 1; i <= runs; i++) {
    const run = `r${i}`;
    ids.push(run);
    const workflow = chance.pick(workflows);
    const input = {
      width: 1 + chance.int(4),
      ms: chance.pick([5, 100, 2_000, 8_000]),
      fails: chance.pick([0, 0.1, 0.4]),
    };
    const startAt = chance.int(FAULTY_MS * 0.7);
    const started = { type: "RunStarted", id: `start-${run}`, workflow: workflow.name, version: 1, input };
    clock.setTimeout(() => void say(run, started, { expectLast: 0, id: `start-${run}` }), startAt);
    if (!chance.is(0.3)) continue;
    const cancel = { type: "CancelRequested", id: `cancel-${run}`, reason: "by chance" };
    const cancelAt = startAt + 500 + chance.exponential(4_000);
    clock.setTimeout(() => {
      // A cancel that comes before the start is stored would be the first message.
      if (server.stream("EVENTS").lastOf(server.subjects.inbox(run)) > 0)
        void say(run, cancel, { id: `cancel-${run}` });
    }, cancelAt);
  }

  // ---------------------------------------------------------------- to the end

  clock.setTimeout(() => {
    faulty = false;
  }, FAULTY_MS);
  await clock.run(over, LIMIT_MS);
  const virtualMs = clock.now() - t0;
  // Late messages, repeated reports: nothing may follow an end.
  await clock.run(() => false, 30_000);
  for (const member of members.values()) member.log.kill();

  server.faults = undefined;
  const wrong: { faults: string[]; history: string }[] = [];
  const observer = server.connect("observer");
  for (const run of ids) {
    const told = await tell(observer, run);
    const found = await check(run, told);
    const more = ledger.faults.filter((fault) => fault.includes(`run ${run} `));
    if (found.length + more.length > 0) wrong.push({ faults: found, history: spell(told, t0) });
  }
  wrong.sort((a, b) => a.history.length - b.history.length);
  return {
    seed,
    faults: [...ledger.faults, ...wrong.flatMap((w) => w.faults)],
    history: wrong[0]?.history,
    mishaps,
    runs,
    virtualMs,
  };
}

function ended(server: MemoryServer, run: string): boolean {
  const seq = server.stream("EVENTS").lastOf(server.subjects.journal(run));
  return seq > 0 && /"type":"Run(Completed|Failed|Cancelled)"/.test(server.stream("EVENTS").get(seq)!.text);
}
