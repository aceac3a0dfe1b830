/** What a worker does, for logs and tests. */
export type WorkerEvent =
  | { type: "attempt"; run: string; slot: number; step: string; attempt: number }
  | { type: "completed"; run: string; slot: number; step: string; attempt: number }
  | { type: "retrying"; run: string; slot: number; step: string; attempt: number; delayMs: number; error: Error }
  | { type: "failed"; run: string; slot: number; step: string; attempt: number; error: Error }
  | { type: "cancelled"; run: string; slot: number; step: string; attempt: number }
  | { type: "handed-back"; run: string; slot: number; step: string; why: string }
  | { type: "left-behind"; run: string; slot: number; step: string; attempt: number }
  | { type: "breaker"; step: string; breaker: string; state: BreakerState }
  | { type: "dead"; subject: string; error: Error }
  | { type: "trouble"; what: string; error: unknown };

export type BreakerState = "closed" | "open" | "halfOpen";
