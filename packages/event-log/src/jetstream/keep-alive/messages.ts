import type { ConnectionOptions } from "@nats-io/transport-node";

/** What the main thread tells the keep-alive thread; `id` is that of a connection. */
export type ToThread =
  /** @param asksMain - Each login is worked out by the main thread. @param ackWaitMs - The shortest to be expected. */
  | { type: "open"; id: number; options: ConnectionOptions; asksMain: boolean; ackWaitMs: number }
  | { type: "block"; id: number; memory: SharedArrayBuffer }
  | { type: "close"; id: number };

/** What the thread tells the main thread. */
export type Told =
  | { type: "up"; id: number }
  | { type: "down"; id: number; why: string }
  /** To be answered in the shared memory, not by a message: the thread waits for it. */
  | { type: "login"; id: number; nonce: string | undefined; ticket: number };

/** The shared memory of logins: the length of the answer, 0 until there is one, -1 if there is none. */
export const LOGIN_STATE = 0;
/** The number of the question that is open. */
export const LOGIN_TICKET = 1;
/** Then the answer, JSON; in bytes. */
export const LOGIN_TEXT_AT = 8;
export const LOGIN_MAX = 64 * 1024;
