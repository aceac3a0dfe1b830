/**
 * What can go wrong between a process and the server, for simulations. All chance comes from whoever
 * implements it, so a seed repeats a failure. It is asked at each effect, in the order in which effects happen.
 * Without faults every effect is immediate and certain.
 *
 * What happens to a process as a whole is ordered from outside: `kill()`, `pause()` and `cut()` of its log,
 * `restart()` of the server.
 */
export interface Faults {
  /**
   * One way, in milliseconds: up, to the server, or down. Requests overtake each other. What comes down for one
   * consumption, listener or follower keeps its order on one connection all the same.
   */
  latencyMs(way: "up" | "down"): number;
  /**
   * Is it lost?
   * - `request`: it is never stored; the sender learns after `timeoutMs` that it does not know.
   * - `answer`: it is stored; the sender learns the same.
   * - `ack`: so are naks and "working".
   * - `broadcast`: asked for each listener.
   * - `pull`: the process notices the silence after 1.25 s, says `onInterrupted` and asks again.
   */
  loses(what: "request" | "answer" | "ack" | "broadcast" | "pull"): boolean;
  /** A `read` or `last` that need not be fresh misses what is younger, in milliseconds. 0: it misses nothing. */
  staleMs(): number;
  /** How late a timer fires, in milliseconds. nats-server: 0 to 250. */
  timerLateMs(): number;
  /** How long a process waits for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** The process is about to do something to the server: the moment to crash it. */
  onEffect?(process: string, effect: string): void;
}
