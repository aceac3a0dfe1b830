import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { StreamSpec } from "@stepstream/event-log/jetstream";

/** What was found out about a namespace and its server. Nothing here is judged. */
export interface Facts {
  server: { name: string; version: string; cluster?: string; maxPayload: number; jetstream: boolean };
  /** One exchange with the server, in ms. */
  rttMs: number;
  /** The server's clock less this machine's, in ms; known to within half of `rttMs`. */
  skewMs?: number;
  /** What the account may store; -1: no limit. */
  account?: { storage: number; maxStorage: number; apiErrors: number };
  /** From the monitoring port, if one was named. */
  syncInterval?: "always" | string;
  namespace: string;
  partitions: number;
  streams: { wished: StreamSpec; found?: StreamInfo }[];
  /** Of the coordinators: one for each partition that has one, and `due`. */
  inboxes: { name: string; partition: number; info?: ConsumerInfo; messages: number }[];
  steps: ConsumerInfo[];
  coordinators: ReadonlyMap<string, readonly string[]>;
  workers: ReadonlyMap<string, readonly { step: string; breaker?: string | undefined }[]>;
  /** Steps of which commands are out, and how many. */
  commands: ReadonlyMap<string, number>;
  parked: string[];
  deadLetters: number;
  /** What we may not do, in the server's words. */
  forbidden: { what: string; why: string }[];
}

export interface Finding {
  level: "ok" | "warn" | "error";
  /** What was looked at. */
  about: string;
  /** What was seen. */
  seen: string;
  /** What to do; empty where it is ok. */
  todo?: string;
}
