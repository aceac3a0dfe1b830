import type { Faults } from "./faults.ts";
import type { Process } from "./process.ts";
import type { MemoryServer } from "./server.ts";

/** What comes down in one lane keeps its order. */
export type Lane = { connection: number; fn: Arrival }[];

/** Called when the process reads it, which may be later than it arrived. */
type Arrival = (arrivedAt: number) => void;

/**
 * The wire between a process and the server.
 *
 * W1. A cut, and the end of the server, lose what is on the way. The end of the process does not lose what it has sent.
 * W2. Without faults what goes up is there at once, and what comes down comes in a microtask of its own: nobody is
 *     called from within his own call.
 *
 * Checked elsewhere:
 *   W1  test/simulation/log.test.ts: has sent what it has sent
 *   W2  test/simulation/log.test.ts: overtakes no other of its consumption, whatever the latencies
 */
export class Wire {
  readonly #server: MemoryServer;
  readonly #process: Process;

  constructor(server: MemoryServer, process: Process) {
    this.#server = server;
    this.#process = process;
  }

  up(what: Parameters<Faults["loses"]>[0] | undefined, fn: () => void): void {
    const { faults, clock, life } = this.#server;
    const { connection } = this.#process;
    if (!faults) return fn();
    if (what && faults.loses(what)) return;
    clock.setTimeout(() => {
      if (this.#process.connection === connection && this.#server.life === life) fn();
    }, faults.latencyMs("up"));
  }

  /** @param connection - By which it is sent; the process may have another by now, or none. Default: the one it has. */
  down(lane: Lane, fn: Arrival, connection = this.#process.connection): void {
    const { faults, clock } = this.#server;
    if (!this.#process.connected || connection !== this.#process.connection) return;
    lane.push({ connection, fn });
    const next = () => {
      const { connection, fn } = lane.shift()!;
      if (this.#process.connection !== connection) return;
      const arrivedAt = clock.now();
      this.#process.reach(() => fn(arrivedAt));
    };
    if (faults) clock.setTimeout(next, faults.latencyMs("down"));
    else queueMicrotask(next);
  }
}
