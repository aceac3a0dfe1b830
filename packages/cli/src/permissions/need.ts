import type { Subjects } from "@stepstream/contracts";

/** The kinds of users that a namespace has. */
export const ROLES = ["client", "worker", "coordinator", "viewer", "operator"] as const;
export type Role = (typeof ROLES)[number];

/** One thing that a role must be allowed to do on the bus. */
export interface Need {
  readonly role: Role;
  readonly does: "publish" | "subscribe";
  /** What the permission is written like. */
  readonly allow: string;
  /** What does not work without. */
  readonly why: string;
  /** How to try it without effect. Absent: what needs it is not there on every server, so nothing is wrong without. */
  readonly probe?: Probe;
}

export interface Probe {
  /** A subject that the permission covers. */
  readonly subject: string;
  /** What is published: without effect, because it is not valid, or says nothing. */
  readonly body: string;
  /** The stream that stores the subject: it refuses a message that expects another one. */
  readonly stored: boolean;
}

/** A namespace, as one of its users sees it. */
export interface Scope {
  readonly subjects: Subjects;
  /** Where replies to this user go; no other user may subscribe there. */
  readonly inbox: string;
  /** The steps that a worker runs. Empty: all. */
  readonly steps: readonly string[];
}

/** A run that does not exist, and a step, a consumer. */
export const NONE = "doctor";
/**
 * The server refuses it as a request, and every process of ours as a message. It begins like JSON for a reason: nats-server
 * takes a request whose body does not for one without a body, and a purge without a body removes everything.
 */
const INVALID = "{doctor";

/** Collects what one role needs. */
export class Needs {
  readonly all: Need[] = [];
  readonly role: Role;
  readonly scope: Scope;
  readonly ns: string;
  readonly events: string;
  readonly commands: string;
  readonly timers: string;
  readonly dead: string;
  readonly blobs: string;

  constructor(role: Role, scope: Scope) {
    const { subjects } = scope;
    this.role = role;
    this.scope = scope;
    this.ns = subjects.namespace;
    this.events = subjects.streamName("EVENTS");
    this.commands = subjects.streamName("COMMANDS");
    this.timers = subjects.streamName("TIMERS");
    this.dead = subjects.streamName("DEAD");
    this.blobs = `${this.ns}_BLOBS`;
  }

  /** Appends to a stream. */
  stores(subject: string, allow: string, why: string): void {
    this.#add("publish", allow, why, { subject, body: INVALID, stored: true });
  }

  /** Publishes on core NATS. */
  sends(subject: string, allow: string, why: string, body = INVALID): void {
    this.#add("publish", allow, why, { subject, body, stored: false });
  }

  receives(subject: string, allow: string, why: string): void {
    this.#add("subscribe", allow, why, { subject, body: "", stored: false });
  }

  /**
   * Asks JetStream's API about a stream.
   *
   * @param rest - What follows the stream, as a subject; `allow`: as a permission.
   */
  asks(name: string, stream: string, why: string, more: { rest?: string; allow?: string; body?: string } = {}): void {
    const { rest = "", allow = rest, body = INVALID } = more;
    const dotted = (text: string) => (text === "" ? "" : `.${text}`);
    const subject = `$JS.API.${name}.${stream}${dotted(rest)}`;
    this.#add("publish", `$JS.API.${name}.${stream}${dotted(allow)}`, why, { subject, body, stored: false });
  }

  /**
   * Acknowledges messages of a consumer. By the number of its tokens a permission is for exactly one of the two forms of the
   * subject: with ">" at its end, that for the second form would cover the first form of any other consumer (with "+NXT" as
   * its body, an acknowledgement asks for the next message).
   */
  acks(stream: string, consumer: string, why: string): void {
    const name = consumer === "*" ? NONE : consumer;
    const probe = { subject: `$JS.ACK.${stream}.${name}.1.1.1.1.0`, body: INVALID, stored: false };
    this.#add("publish", `$JS.ACK.${stream}.${consumer}.*.*.*.*.*`, why, probe);
    this.#add("publish", `$JS.ACK.*.*.${stream}.${consumer}.*.*.*.*.*`, `${why} (nats-server with js_ack_fc_v2)`);
  }

  #add(does: Need["does"], allow: string, why: string, probe?: Probe): void {
    this.all.push({ role: this.role, does, allow, why, ...(probe && { probe }) });
  }
}
