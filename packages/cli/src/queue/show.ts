import type { Paint } from "../print/colour.ts";
import { oneLine, table } from "../print/table.ts";
import { age } from "../print/time.ts";
import type { StepQueue } from "./read.ts";

const COLUMNS = [
  { title: "STEP" },
  { title: "WAITING", align: "right" as const },
  { title: "RUNNING", align: "right" as const },
  { title: "BETWEEN ATTEMPTS", align: "right" as const },
  { title: "OLDEST" },
  { title: "WORKERS", align: "right" as const },
  { title: "PLACES", align: "right" as const },
  { title: "BREAKER" },
];

/** The queues for people, and below them what should be looked at. */
export function shown(queues: readonly StepQueue[], now: number, paint: Paint): string {
  if (queues.length === 0) return "No commands are out, and no worker is up.";
  const rows = queues.map((queue) => [
    queue.step,
    `${queue.waiting}`,
    `${queue.running}`,
    `${Math.max(0, queue.taken - queue.running)}`,
    queue.oldestAt === undefined ? "" : age(now - queue.oldestAt),
    queue.workers > 0 ? `${queue.workers}` : paint(queue.waiting + queue.taken > 0 ? "red" : "gray", "0"),
    `${queue.places}`,
    breaker(queue, paint),
  ]);
  return [table(COLUMNS, rows), ...queues.flatMap((queue) => remarks(queue).map((line) => paint("yellow", line)))].join(
    "\n",
  );
}

function breaker({ breakers, workers }: StepQueue, paint: Paint): string {
  const states = Object.values(breakers);
  if (states.length === 0) return workers > 0 ? paint("green", "closed") : "";
  const open = states.filter((state) => state === "open").length;
  return paint("red", open > 0 ? `open in ${open} of ${workers}` : `half open in ${states.length} of ${workers}`);
}

/** What is wrong with a queue, and what to do. */
function remarks(queue: StepQueue): string[] {
  const { step, waiting, taken, workers, breakers, stranded, paused } = queue;
  const found: string[] = [];
  const out = waiting + taken;
  if (out > 0 && workers === 0)
    found.push(
      `${step}: ${out} ${out === 1 ? "command waits" : "commands wait"}, and no worker that is up does this step. Start one.`,
    );
  const open = Object.entries(breakers).filter(([, state]) => state === "open");
  if (open.length > 0)
    found.push(
      `${step}: the circuit breaker is open in ${open.map(([worker]) => oneLine(worker)).join(", ")}; it tries again by itself.`,
    );
  if (paused) found.push(`${step}: its consumer is paused, and no command is taken. Resume it (stepstream doctor).`);
  if (stranded > 0)
    found.push(
      `${step}: ${stranded} stored ${stranded === 1 ? "command" : "commands"} will not reach a worker. A coordinator publishes them again within a minute.`,
    );
  return found;
}
