import { ago, stamp, took } from "../print/time.ts";
import type { Present } from "../roll-call.ts";
import type { RunView, SlotView } from "./run-view.ts";

/** Something that a run waits for, and why that has not come yet. */
export interface Wait {
  slot?: number;
  /** What for: "step charge", "timer", "child order-1-ship". */
  what: string;
  why: string;
  /** What it waits for is not stored, or will never come. */
  missing?: true;
}

/** What is known of others than the run. */
export interface Surroundings {
  now: number;
  /** Workers that are up; undefined: none was asked. */
  workers?: Present["workers"] | undefined;
  /** How children stand, by their id. */
  children?: ReadonlyMap<string, string> | undefined;
  /** What open slots wait for and that is not stored, or will never come: in words, by slot. */
  absent?: ReadonlyMap<number, string> | undefined;
}

/** What a run that is not over waits for, the longest first. Pure. */
export function waitsOf(view: RunView, around: Surroundings): Wait[] {
  if (view.endedAt !== undefined) return [];
  const open = [...view.slots.values()].filter(({ state }) => state === "open");
  const asked = open.filter((slot) => !isOwnTimer(slot));
  const waits: Wait[] = asked.map((slot) => waitOf(slot, around));
  for (const slot of open)
    if (slot.name === "delay" && slot.kind === "timer")
      waits.push({ slot: slot.slot, what: "its start", why: fires(slot, around.now) });
  if (waits.length > 0) return waits;
  if (view.decisions === 0)
    return [
      {
        what: "a coordinator",
        why: `nothing was decided on it yet: none is up that runs ${view.workflow}@${view.version}, it is busy, or the workflow waits for a signal at once; stepstream doctor tells which are up`,
      },
    ];
  return [
    {
      what: "a signal, an update or a condition",
      why:
        "nothing that it asked for is open, and what it listens for is not in a history; " +
        `stepstream replay ${view.run} --workflows <module> --step shows the line of code`,
    },
  ];
}

function waitOf(slot: SlotView, around: Surroundings): Wait {
  const wait = { slot: slot.slot, what: whatOf(slot), why: whyOf(slot, around) };
  const absent = around.absent?.get(slot.slot);
  if (absent === undefined) return wait;
  const why = `${wait.why}; MISSING: ${absent} is not stored, or will not come. A coordinator that is up stores it again within a minute`;
  return { ...wait, why, missing: true };
}

/** Timers that the workflow did not ask for. */
function isOwnTimer(slot: SlotView): boolean {
  return slot.kind === "timer" && slot.name !== "sleep";
}

function whatOf({ kind, name, child, compensation }: SlotView): string {
  if (kind === "timer") return "a timer";
  if (kind === "child") return `child ${child} (${name})`;
  return `${compensation ? "compensation" : "step"} ${name}`;
}

function whyOf(slot: SlotView, { now, workers, children }: Surroundings): string {
  if (slot.kind === "timer") return fires(slot, now);
  if (slot.kind === "child") {
    const status = children?.get(slot.child!);
    const asked = slot.stopping ? "was asked to stop; " : "";
    return `${asked}${status === undefined ? "not started yet" : `it is ${status}`}, for ${took(now - slot.since)}`;
  }
  const parts: string[] = [];
  if (slot.stopping) parts.push("was asked to stop, and has not answered yet");
  const last = slot.attempts.at(-1);
  if (last) {
    parts.push(`attempt ${last.attempt} failed ${ago(now - last.at)}: ${last.code}: ${last.message}`);
    if (last.nextAt !== undefined && last.nextAt > now) parts.push(`the next one comes in ${took(last.nextAt - now)}`);
    else parts.push(`attempt ${last.attempt + 1} is queued or under way`);
  } else parts.push(`queued, or in its first attempt, for ${took(now - slot.since)}`);
  if (workers) parts.push(...hindrances(slot.name, workers));
  return parts.join("; ");
}

/** Why no worker that is up may take a command of the step now. */
function hindrances(step: string, workers: Present["workers"]): string[] {
  const serving = [...workers.values()].flatMap(({ steps }) => steps.filter((one) => one.step === step));
  if (serving.length === 0) return ["NO WORKER that is up does this step: start one"];
  const open = serving.filter(({ breaker }) => breaker === "open").length;
  if (open > 0)
    return [`the CIRCUIT BREAKER is open in ${open} of ${serving.length} workers: look at what this step calls`];
  const places = serving.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const running = serving.reduce((sum, one) => sum + one.running, 0);
  return running < places ? [] : [`all ${places} places of its workers are taken: stepstream queue`];
}

function fires({ fireAt = 0 }: SlotView, now: number): string {
  return fireAt > now ? `fires in ${took(fireAt - now)}, at ${stamp(fireAt)}` : `was due ${ago(now - fireAt)}`;
}
