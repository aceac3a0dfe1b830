import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Present } from "../../roll-call.ts";
import { check, counted, error, type Finding, FULL, ok, some, warn } from "../check.ts";

interface Facts {
  workers: Present["workers"];
  /** Commands that are stored, by step. */
  commands: ReadonlyMap<string, number>;
  /** Of COMMANDS. */
  consumers: readonly ConsumerInfo[];
}

/** Whether each step that has commands has a worker that can run them. */
export const workers = check<Facts>({
  name: "workers",

  async look({ present, subjects, list, consumers }) {
    const [{ workers }, stored, infos] = await Promise.all([
      present(),
      list("COMMANDS", `${subjects.namespace}.command.>`),
      consumers("COMMANDS"),
    ]);
    const commands = new Map<string, number>();
    for (const subject of stored.keys()) {
      const step = subjects.parse(subject)?.step;
      if (step !== undefined) commands.set(step, (commands.get(step) ?? 0) + 1);
    }
    return { workers, commands, consumers: infos };
  },

  judge({ workers, commands, consumers }) {
    const steps = new Set([...workers.values()].flatMap(({ steps }) => steps.map(({ step }) => step)));
    const findings: Finding[] = [];
    for (const [step, count] of commands)
      if (!steps.has(step))
        findings.push(
          error(
            `step ${step}`,
            `${counted(count, "command")} and no worker that answers`,
            "Start a worker with this step. One that runs and does not answer is cut off, or its handlers block its event loop: read its log.",
          ),
        );
    findings.push(...breakers(workers), ...startedTwice(workers), ...consumers.flatMap(full));
    if (findings.length > 0) return findings;
    return [
      workers.size > 0
        ? ok("workers", `${workers.size} up, for ${[...steps].sort().join(", ")}`)
        : warn("workers", "no worker answers", "Start one, if your workflows have steps."),
    ];
  },
});

function breakers(workers: Present["workers"]): Finding[] {
  const open = new Map<string, string[]>();
  for (const [worker, { steps }] of workers)
    for (const { step, breaker } of steps)
      if (breaker !== undefined && breaker !== "closed") open.set(step, [...(open.get(step) ?? []), worker]);
  return [...open].map(([step, names]) =>
    error(
      `step ${step}`,
      `the circuit breaker is open in ${some(names)}`,
      "Look at what this step calls. The breaker lets one attempt through after its cooldown, and closes when that succeeds.",
    ),
  );
}

function startedTwice(workers: Present["workers"]): Finding[] {
  return [...workers].flatMap(([worker, { steps }]) =>
    steps.flatMap(({ step, startedTwice = 0 }) =>
      startedTwice === 0
        ? []
        : error(
            `step ${step}`,
            `${counted(startedTwice, "handler")} started twice in the last hour, as worker ${worker} found`,
            "A worker was frozen, cut off or blocked for longer than the step's heartbeat, or nats-server was without a leader for as long. stepstream history <run> shows each as StepStartedTwice: check what its side effects did.",
          ),
    ),
  );
}

function full({ name, config, num_ack_pending }: ConsumerInfo): Finding[] {
  const limit = config.max_ack_pending ?? -1;
  if (limit <= 0 || num_ack_pending < FULL * limit) return [];
  return [
    error(
      `step ${name.replace(/^step-/, "")}`,
      `${num_ack_pending} of the ${limit} commands that may be taken at a time are`,
      "Attempts that wait for their retry count: look at what fails.",
    ),
  ];
}
