import { type Attributes, type Meter, metrics } from "@opentelemetry/api";
import type { AttemptOutcome, AttemptSpan, DecisionSpan, Decisions, EndOfRun, Telemetry } from "../telemetry.ts";
import { INSTRUMENTS, type InstrumentName, SECONDS } from "./instruments.ts";

/** What can only be known by asking, when somebody wants to know. */
export interface Observed {
  /** For each partition that this coordinator has, messages that wait for it. */
  lag: ReadonlyMap<number, number>;
  /** Of the namespace; told by the coordinator that has partition 0 only. */
  namespace?: {
    parked: number;
    deadLetters: number;
    queues: readonly { step: string; waiting: number; taken: number }[];
  };
}

/** What only metrics have use for. */
export interface Gauges {
  /** Coordinator: it has taken a partition, or let it go. */
  partition(owned: boolean): void;
  /** Coordinator: what a run waited for was gone, and is stored again. */
  repaired(kind: string): void;
  /** Coordinator: what no run had use for is removed. */
  swept(kind: string, count: number): void;
  /** Coordinator: whom to ask. Ends with what it returns. */
  observe(look: () => Promise<Observed>): { stop(): void };
  /** Worker: a step's circuit breaker has changed its state. */
  breaker(step: string, state: "closed" | "halfOpen" | "open"): void;
  /** Worker: a handler was started twice for one slot, and neither start crashed. */
  startedTwice(step: string): void;
}

/** The meter of the SDK that this process has set up by now; undefined if there is none. */
export function meterOfSdk(): Meter | undefined {
  const meter = metrics.getMeter("stepstream");
  return meter.constructor.name === "NoopMeter" ? undefined : meter;
}

/**
 * Counts and measures what telemetry is told, and passes it on.
 *
 * M1. What may be told again after a takeover is counted again: a run's end that was journalled by a coordinator that was
 *     killed right after it. Metrics are for rates; the log has the truth.
 */
export function measured(telemetry: Telemetry, meter: Meter): Telemetry & Gauges {
  const is = instruments(meter);
  const now = () => performance.now() / 1_000;

  return {
    start: telemetry.start,
    traceOf: telemetry.traceOf,

    decisions(run): Decisions {
      const inner = telemetry.decisions(run);
      let rebuilt = false;
      return {
        begin() {
          rebuilt = false;
          inner.begin();
        },
        took(message) {
          if (message.type === "RunStarted") is.started.add(1, { [WORKFLOW]: message.workflow });
          is.messages.add(1, rebuilt ? FROM_LOG : FROM_MEMORY);
          inner.took(message);
        },
        rebuilt(messages) {
          rebuilt = true;
          is.rebuilds.add(1);
          inner.rebuilt(messages);
        },
        decided(started, upTo, events): DecisionSpan {
          const span = inner.decided(started, upTo, events);
          const begin = now();
          const of = { [WORKFLOW]: started.workflow };
          return {
            end(written = "written") {
              if (written === "moved") is.conflicts.add(1, of);
              else is.decision.record(now() - begin, of);
              span.end(written);
            },
          };
        },
      };
    },

    parked(parked) {
      is.parked.add(1, { [WORKFLOW]: parked.started.workflow, "error.type": parked.fault.code });
      telemetry.parked(parked);
    },

    runEnded(ended: EndOfRun) {
      const outcome = ended.outcome.replace(/^Run/, "").toLowerCase();
      const seconds = (ended.endedAtMs - ended.startedAtMs) / 1_000;
      is.run.record(seconds, { [WORKFLOW]: ended.started.workflow, [OUTCOME]: outcome });
      telemetry.runEnded(ended);
    },

    attempt(command, attempt, more): AttemptSpan {
      const span = telemetry.attempt(command, attempt, more);
      const { step } = command;
      if (attempt === 1 && more.deliveries === 1)
        is.scheduleToStart.record(Math.max(0, ((more.now ?? Date.now()) - command.scheduledAt) / 1_000), {
          [STEP]: step,
        });
      const begin = now();
      return {
        run: span.run,
        get ids() {
          return span.ids;
        },
        end(outcome: AttemptOutcome) {
          is.attempt.record(now() - begin, { [STEP]: step, [OUTCOME]: outcome.how });
          if (outcome.how === "failed" && outcome.retryInMs !== undefined) is.retries.add(1, { [STEP]: step });
          span.end(outcome);
        },
      };
    },

    partition: (owned) => is.partitions.add(owned ? 1 : -1),
    repaired: (kind) => is.repairs.add(1, { "stepstream.kind": kind }),
    swept: (kind, count) => is.swept.add(count, { "stepstream.kind": kind }),
    breaker: (step, state) => is.breaker.record(STATES[state], { [STEP]: step }),
    startedTwice: (step) => is.startedTwice.add(1, { [STEP]: step }),
    observe: (look) => observed(meter, look),
  };
}

const WORKFLOW = "stepstream.workflow";
const STEP = "stepstream.step";
const OUTCOME = "stepstream.outcome";
const FROM_LOG: Attributes = { "stepstream.source": "log" };
const FROM_MEMORY: Attributes = { "stepstream.source": "memory" };
const STATES = { closed: 0, halfOpen: 1, open: 2 } as const;

function instruments(meter: Meter) {
  const of = (name: InstrumentName) => {
    const { unit, about: description } = INSTRUMENTS[name];
    return [name, { unit, description }] as const;
  };
  const counter = (name: InstrumentName) => meter.createCounter(...of(name));
  const histogram = (name: InstrumentName) => {
    const [, options] = of(name);
    return meter.createHistogram(name, { ...options, advice: { explicitBucketBoundaries: SECONDS } });
  };
  return {
    started: counter("stepstream.run.started"),
    run: histogram("stepstream.run.duration"),
    parked: counter("stepstream.run.parked"),
    partitions: meter.createUpDownCounter(...of("stepstream.coordinator.partitions")),
    messages: counter("stepstream.coordinator.messages"),
    rebuilds: counter("stepstream.coordinator.rebuilds"),
    decision: histogram("stepstream.coordinator.decision.duration"),
    conflicts: counter("stepstream.coordinator.journal.conflicts"),
    repairs: counter("stepstream.coordinator.repairs"),
    swept: counter("stepstream.coordinator.swept"),
    scheduleToStart: histogram("stepstream.step.schedule_to_start"),
    attempt: histogram("stepstream.step.attempt.duration"),
    retries: counter("stepstream.step.retries"),
    startedTwice: counter("stepstream.step.started_twice"),
    breaker: meter.createGauge(...of("stepstream.step.breaker.state")),
  };
}

/** Asked once for all gauges, whenever they are collected. */
function observed(meter: Meter, look: () => Promise<Observed>): { stop(): void } {
  const gauge = (name: InstrumentName) => {
    const { unit, about: description } = INSTRUMENTS[name];
    return meter.createObservableGauge(name, { unit, description });
  };
  const lag = gauge("stepstream.coordinator.lag");
  const parked = gauge("stepstream.runs.parked");
  const dead = gauge("stepstream.dead_letters");
  const waiting = gauge("stepstream.queue.waiting");
  const taken = gauge("stepstream.queue.taken");
  const all = [lag, parked, dead, waiting, taken];
  const collect: Parameters<Meter["addBatchObservableCallback"]>[0] = async (result) => {
    // The bus may be away: then nothing is told of it.
    const seen = await look().catch(() => undefined);
    if (!seen) return;
    for (const [partition, messages] of seen.lag) result.observe(lag, messages, { "stepstream.partition": partition });
    if (!seen.namespace) return;
    result.observe(parked, seen.namespace.parked);
    result.observe(dead, seen.namespace.deadLetters);
    for (const queue of seen.namespace.queues) {
      result.observe(waiting, queue.waiting, { [STEP]: queue.step });
      result.observe(taken, queue.taken, { [STEP]: queue.step });
    }
  };
  meter.addBatchObservableCallback(collect, all);
  return { stop: () => meter.removeBatchObservableCallback(collect, all) };
}
