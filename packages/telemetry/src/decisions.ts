import { type Link, type Span, TraceFlags } from "@opentelemetry/api";
import type { InboxMessage, RunEvent, RunStarted } from "@stepstream/contracts";
import * as at from "./attributes.ts";
import { idsOfRun } from "./ids.ts";
import { type Note, noteOfEvent, noteOfMessage } from "./noteworthy.ts";
import type { DecisionSpan, Decisions } from "./telemetry.ts";

/** What a span holds at most, by the SDK's own default. */
const NOTES_MAX = 128;

export interface Decision {
  readonly started: RunStarted;
  readonly upTo: number;
  readonly startTime: number;
  /** Another coordinator had decided already. */
  readonly moved: boolean;
  /** How many messages it took. */
  readonly messages: number;
  /** How many events it holds. */
  readonly events: number;
  /** Children that have traces of their own. */
  readonly links: Link[];
}

/**
 * The decide spans of one mailbox: what it took, since when, and what it decided.
 *
 * D1. Every message is told of by one decision: the next one that is stored after it was taken.
 * D2. A span is made when the decision is stored, or dropped: by then it is known which.
 */
export class DecisionSpans implements Decisions {
  readonly #namespace: string;
  readonly #nowMs: () => number;
  readonly #startSpan: (decision: Decision) => Span;
  #beganAt = 0;
  #messages = 0;
  /** What is to be said of the messages; with the time when each was taken. */
  #taken: (Note & { readonly at: number })[] = [];

  constructor(namespace: string, nowMs: () => number, startSpan: (decision: Decision) => Span) {
    this.#namespace = namespace;
    this.#nowMs = nowMs;
    this.#startSpan = startSpan;
  }

  begin(): void {
    this.#beganAt = this.#nowMs();
  }

  took(message: InboxMessage): void {
    this.#messages++;
    const note = noteOfMessage(message);
    if (note) this.#note(note);
  }

  rebuilt(messages: number): void {
    this.#forget();
    this.#note({ name: "Rebuilt", attributes: { "stepstream.messages": messages } });
  }

  decided(started: RunStarted, upTo: number, events: readonly { readonly event: RunEvent }[]): DecisionSpan {
    const startTime = this.#beganAt;
    const decidedAt = this.#nowMs();
    return {
      end: (written = "written") => {
        const moved = written === "moved";
        const counts = { messages: this.#messages, events: events.length };
        const span = this.#startSpan({ started, upTo, startTime, moved, ...counts, links: this.#links(events) });
        if (span.isRecording()) {
          for (const note of this.#taken) span.addEvent(note.name, note.attributes, Math.max(note.at, startTime));
          for (const { event } of events) {
            const note = noteOfEvent(event);
            if (note) span.addEvent(note.name, note.attributes, decidedAt);
          }
        }
        span.end(this.#nowMs());
        this.#forget();
      },
    };
  }

  #links(events: readonly { readonly event: RunEvent }[]): Link[] {
    return events.flatMap(({ event }) => {
      if (event.type !== "ChildScheduled" || event.trace !== "linked") return [];
      const context = { ...idsOfRun(this.#namespace, event.run), traceFlags: TraceFlags.NONE, isRemote: true };
      return [{ context, attributes: { "stepstream.child": event.run, [at.SLOT]: event.slot } }];
    });
  }

  #note(note: Note): void {
    if (this.#taken.length < NOTES_MAX) this.#taken.push({ ...note, at: this.#nowMs() });
  }

  #forget(): void {
    this.#messages = 0;
    this.#taken = [];
  }
}
