import {
  Decision,
  InboxMessage,
  type RunEvent,
  type RunStarted,
  SENDER_OF,
  type SubjectParts,
} from "@stepstream/contracts";
import { oneLine } from "../print/table.ts";
import { took } from "../print/time.ts";
import { framesOf } from "../view/stack.ts";
import type { Style } from "./log.ts";

/** A line about a run. */
export interface Told {
  text: string;
  style?: Style;
}

/** What ends a slot. */
const OUTCOMES: ReadonlySet<string> = new Set([
  "StepCompleted",
  "StepFailed",
  "StepCancelled",
  "SlotTimedOut",
  "SlotAbandoned",
]);

/** Longest text of an error or a reason. */
const MAX = 160;

/**
 * Tells runs as they go, from the messages of the bus: starts, steps, sleeps, signals, ends. Attempts that failed are told
 * by the worker that made them.
 *
 * Pure but for what it remembers of runs that have not ended: when they and their slots began, so that it can say how long
 * they took.
 */
export class Narrator {
  readonly #cwd: string;
  readonly #runs = new Map<string, { at: number; slots: Map<number, { step: string; at: number; over?: true }> }>();

  /** @param cwd - Where one is: files have their names from there. */
  constructor(cwd = "/") {
    this.#cwd = cwd;
  }

  /**
   * @param parts - Of the message's subject: that of an inbox or a journal.
   * @param now - Epoch milliseconds.
   * @returns Lines; none for what is not worth one, or cannot be read (large messages are kept elsewhere).
   */
  tell({ kind, run, sender }: Pick<SubjectParts, "kind" | "run" | "sender">, text: string, now: number): Told[] {
    const json = parsed(text);
    const told = (line: Told | undefined) => (line ? [{ ...line, text: `${run} ${line.text}` }] : []);
    if (kind === "inbox") {
      const message = InboxMessage.safeParse(json).data;
      return message && SENDER_OF[message.type] === sender ? told(this.#heard(run, message, now)) : [];
    }
    const events = Decision.safeParse(json).data?.events ?? [];
    return events.flatMap((event) => told(this.#decided(run, event, now)));
  }

  #heard(run: string, message: InboxMessage, now: number): Told | undefined {
    // A second result of a slot changes nothing.
    const slot = OUTCOMES.has(message.type) ? this.#known(run, message) : undefined;
    if (slot?.over) return undefined;
    if (slot) slot.over = true;
    switch (message.type) {
      case "RunStarted":
        return this.#started(run, message, now);
      case "StepCompleted":
        return { text: `${this.#slot(run, message.slot)} done${this.#since(run, message.slot, now)}` };
      case "StepFailed": {
        const { name, message: why } = message.error;
        return { text: `${this.#slot(run, message.slot)} failed: ${short(`${name}: ${why}`)}`, style: "red" };
      }
      case "StepCancelled":
        return { text: `${this.#slot(run, message.slot)} was cancelled`, style: "gray" };
      case "SlotTimedOut":
        return { text: `${this.#slot(run, message.slot)} ran out of its ${message.kind} time`, style: "red" };
      case "SlotAbandoned":
        return { text: `${this.#slot(run, message.slot)} was given up: no worker answers`, style: "red" };
      case "SignalReceived":
        return { text: `got signal ${message.name}` };
      case "UpdateRequested":
        return { text: `got update ${message.name}` };
      case "CancelRequested":
        return { text: `is asked to stop: ${short(message.reason)}`, style: "yellow" };
      default:
        return undefined;
    }
  }

  #known(run: string, message: InboxMessage) {
    return "slot" in message ? this.#runs.get(run)?.slots.get(message.slot) : undefined;
  }

  #started(run: string, { workflow, version, parent }: RunStarted, now: number): Told {
    this.#runs.set(run, { at: now, slots: new Map() });
    return { text: `started: ${workflow}@${version}${parent ? `, child of ${parent.run}` : ""}`, style: "cyan" };
  }

  #decided(run: string, event: RunEvent, now: number): Told | undefined {
    switch (event.type) {
      case "StepScheduled":
        this.#runs.get(run)?.slots.set(event.slot, { step: event.step, at: now });
        return { text: `#${event.slot} ${event.step}${event.compensation ? " (compensation)" : ""}`, style: "gray" };
      case "TimerStarted":
        if (event.for === "timeout" || event.for === "cleanup") return undefined;
        return { text: `#${event.slot} waits ${took(event.fireAt - now)}`, style: "gray" };
      case "ChildScheduled":
        return { text: `#${event.slot} child ${event.run} (${event.workflow}@${event.version})`, style: "gray" };
      case "ProgressReported":
        return { text: `${Math.round(event.percent)} % ${oneLine(event.name)}`, style: "gray" };
      case "RunTimedOut":
        return { text: `ran out of its ${took(event.timeoutMs)}`, style: "red" };
      case "RunContinued":
        return { text: "goes on as new", style: "cyan" };
      case "CompensationFailed":
        return { text: `${this.#slot(run, event.slot)} failed: ${short(event.error.message)}`, style: "red" };
      case "RunCompleted":
        return { text: `completed${this.#ended(run, now)}`, style: "green" };
      case "RunFailed":
        return {
          text: [
            `failed${this.#ended(run, now)}: ${short(event.error.message)}`,
            ...framesOf(event.error, this.#cwd).map((frame) => `    ${frame}`),
          ].join("\n"),
          style: "red",
        };
      case "RunCancelled":
        return { text: `cancelled${this.#ended(run, now)}: ${short(event.reason)}`, style: "yellow" };
      case "RunTerminated":
        return { text: `terminated${this.#ended(run, now)}: ${short(event.reason)}`, style: "yellow" };
      default:
        return undefined;
    }
  }

  #slot(run: string, slot: number): string {
    const step = this.#runs.get(run)?.slots.get(slot)?.step;
    return `#${slot}${step ? ` ${step}` : ""}`;
  }

  #since(run: string, slot: number, now: number): string {
    const begun = this.#runs.get(run)?.slots.get(slot)?.at;
    return begun === undefined ? "" : ` in ${took(now - begun)}`;
  }

  #ended(run: string, now: number): string {
    const begun = this.#runs.get(run)?.at;
    this.#runs.delete(run);
    return begun === undefined ? "" : ` in ${took(now - begun)}`;
  }
}

function short(text: string): string {
  const line = oneLine(text);
  return line.length > MAX ? `${line.slice(0, MAX - 1)}…` : line;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
