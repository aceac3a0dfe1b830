/**
 * What can go wrong between a process and the server, for simulations. All chance comes from whoever
 * implements it, so a seed repeats a failure. Without faults every effect is immediate and certain.
 */
export interface Faults {
  /** One way, in milliseconds. Messages to one consumer on one connection keep their order all the same. */
  latencyMs(): number;
  /** Is it lost? A lost request is never stored; a lost answer leaves the sender without knowing. */
  loses(what: "request" | "answer" | "ack" | "broadcast"): boolean;
  /** A read that need not be fresh misses what is younger, in milliseconds. 0: it misses nothing. */
  staleMs(): number;
  /** How late a timer fires, in milliseconds. */
  timerLateMs(): number;
  /** How long a process waits for an answer, in milliseconds. */
  readonly timeoutMs: number;
  /** The process is about to do something to the server: the moment to crash it. */
  onEffect?(process: string, effect: string): void;
}
