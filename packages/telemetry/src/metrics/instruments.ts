/**
 * All metrics, as data: what they are called, what they count, which attributes they bear.
 *
 * N1. Names and units are those of OpenTelemetry: dots, and seconds. A Prometheus endpoint makes underscores of the dots,
 *     and adds `_total` to counters: `stepstream.run.started` is `stepstream_run_started_total` there.
 * N2. Attributes are of few values: names of workflows and steps, outcomes. Never an id.
 */
export interface InstrumentSpec {
  kind: "counter" | "histogram" | "gauge" | "observed" | "upDownCounter";
  /** As UCUM has it: "s", "{run}". */
  unit: string;
  about: string;
  attributes: readonly string[];
  by: "coordinator" | "worker";
}

/** From a millisecond to a day. */
export const SECONDS = [
  0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400,
];

const WORKFLOW = "stepstream.workflow";
const STEP = "stepstream.step";
const OUTCOME = "stepstream.outcome";

export const INSTRUMENTS = {
  "stepstream.run.started": {
    kind: "counter",
    unit: "{run}",
    about: "Runs whose start was taken up.",
    attributes: [WORKFLOW],
    by: "coordinator",
  },
  "stepstream.run.duration": {
    kind: "histogram",
    unit: "s",
    about: "From the start of a run to its end, by the server's clock. Its count: runs that ended.",
    attributes: [WORKFLOW, OUTCOME],
    by: "coordinator",
  },
  "stepstream.run.parked": {
    kind: "counter",
    unit: "{run}",
    about: "Runs that were parked, by the code of the error.",
    attributes: [WORKFLOW, "error.type"],
    by: "coordinator",
  },
  "stepstream.runs.parked": {
    kind: "observed",
    unit: "{run}",
    about: "Runs that are parked now. Told by the coordinator that has partition 0.",
    attributes: [],
    by: "coordinator",
  },
  "stepstream.dead_letters": {
    kind: "observed",
    unit: "{message}",
    about: "Dead letters that are stored. Told by the coordinator that has partition 0.",
    attributes: [],
    by: "coordinator",
  },
  "stepstream.coordinator.partitions": {
    kind: "upDownCounter",
    unit: "{partition}",
    about: "Partitions that this coordinator has.",
    attributes: [],
    by: "coordinator",
  },
  "stepstream.coordinator.lag": {
    kind: "observed",
    unit: "{message}",
    about: "Inbox messages that wait for their coordinator, for each partition that this one has.",
    attributes: ["stepstream.partition"],
    by: "coordinator",
  },
  "stepstream.coordinator.messages": {
    kind: "counter",
    unit: "{message}",
    about: 'Inbox messages folded into runs: into one that was in memory ("memory"), or had to be read first ("log").',
    attributes: ["stepstream.source"],
    by: "coordinator",
  },
  "stepstream.coordinator.rebuilds": {
    kind: "counter",
    unit: "{rebuild}",
    about: "Runs that were rebuilt from their history.",
    attributes: [],
    by: "coordinator",
  },
  "stepstream.coordinator.decision.duration": {
    kind: "histogram",
    unit: "s",
    about: "From a decision to the acknowledgement of its journal message.",
    attributes: [WORKFLOW],
    by: "coordinator",
  },
  "stepstream.coordinator.journal.conflicts": {
    kind: "counter",
    unit: "{decision}",
    about: "Decisions that were dropped because another coordinator had written first.",
    attributes: [WORKFLOW],
    by: "coordinator",
  },
  "stepstream.coordinator.repairs": {
    kind: "counter",
    unit: "{cause}",
    about:
      "What runs waited for, was gone from the log and is stored again, by its kind: command, timer, child, message.",
    attributes: ["stepstream.kind"],
    by: "coordinator",
  },
  "stepstream.coordinator.swept": {
    kind: "counter",
    unit: "{message}",
    about: "What no run had use for, and was removed, by its kind: command, timer, message, chunk.",
    attributes: ["stepstream.kind"],
    by: "coordinator",
  },
  "stepstream.queue.waiting": {
    kind: "observed",
    unit: "{command}",
    about: "Commands of a step that no worker has taken. Told by the coordinator that has partition 0.",
    attributes: [STEP],
    by: "coordinator",
  },
  "stepstream.queue.taken": {
    kind: "observed",
    unit: "{command}",
    about: "Commands of a step that a worker has, or that wait for their next attempt. Told by the same.",
    attributes: [STEP],
    by: "coordinator",
  },
  "stepstream.step.schedule_to_start": {
    kind: "histogram",
    unit: "s",
    about: "From the scheduling of a step to its first attempt, by the server's clock.",
    attributes: [STEP],
    by: "worker",
  },
  "stepstream.step.attempt.duration": {
    kind: "histogram",
    unit: "s",
    about: "One attempt, from the call of the handler to the verdict. Its count: attempts.",
    attributes: [STEP, OUTCOME],
    by: "worker",
  },
  "stepstream.step.retries": {
    kind: "counter",
    unit: "{attempt}",
    about: "Attempts that failed and are made again.",
    attributes: [STEP],
    by: "worker",
  },
  "stepstream.step.started_twice": {
    kind: "counter",
    unit: "{start}",
    about: "Handlers that were started a second time for a slot although the first start had not crashed.",
    attributes: [STEP],
    by: "worker",
  },
  "stepstream.step.breaker.state": {
    kind: "gauge",
    unit: "1",
    about: "The step's circuit breaker in this worker: 0 closed, 1 half open, 2 open. Told once it has changed.",
    attributes: [STEP],
    by: "worker",
  },
} as const satisfies Record<string, InstrumentSpec>;

export type InstrumentName = keyof typeof INSTRUMENTS;
