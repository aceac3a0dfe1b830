import { Worker } from "node:worker_threads";
import type { Auth, Authenticator } from "@nats-io/transport-node";
import type { Clock } from "../../clock.ts";
import { connectionOptions, isConnection, type NatsTarget } from "../link.ts";
import { LOGIN_MAX, LOGIN_STATE, LOGIN_TEXT_AT, LOGIN_TICKET, type Told, type ToThread } from "./messages.ts";
import { ACK_WAIT_MS, ALIVE_AT, Block, KEPT_AT, monotonicMs, UNTIL, WAS_LATE } from "./table.ts";

/**
 * Keeps deliveries alive while the event loop of this process is blocked: a handler that computes for longer than the ack
 * wait would lose its command to another worker, and so would all that is in hand beside it.
 *
 * A thread does it, on a connection of its own. The main thread writes what it has in hand into shared memory, and when it has
 * kept each alive; the thread sends `+WPI` for what the main thread is late with. So in a process that is not blocked the
 * thread sends nothing.
 *
 * K1. The thread's connection has the settings of the process's own: servers, TLS, credentials. Functions that work out
 *     a login stay in the main thread, and are asked at each login.
 * K2. Nothing is promised of the thread: where it cannot run, connect, or be in time, deliveries are as they are without it, and
 *     `Kept.lastAt` says so.
 * K3. One thread serves all workers of a process. It keeps no process alive.
 *
 * Checked elsewhere:
 *   K1  test/e2e/keep-alive.test.ts: logs in as the process does, with
 *   K2  test/e2e/keep-alive.test.ts: says so, and goes on without
 *   K3  test/e2e/keep-alive.test.ts: is one for all workers of a process, which ends by itself
 */
export interface KeepAlive {
  /** @returns undefined if it cannot be kept alive by the thread. */
  hold(ackSubject: string, ackWaitMs: number): Kept | undefined;
  /**
   * Fulfilled when the thread does without the main thread: it is logged in, or has failed to. Until then code that blocks the main
   * thread keeps the functions of the login (K1) from being asked.
   */
  readonly ready: Promise<void>;
  stop(): void;
}

export interface KeepAliveOptions {
  nats: NatsTarget;
  /** The connection's name. */
  name: string;
  clock: Clock;
  /** The shortest to be expected. */
  ackWaitMs: number;
  /** Called when the thread cannot connect, and why; and when it has ended. It may be called again and again. */
  onTrouble: (error: Error) => void;
}

const ROWS = 64;

/** @returns Why there can be none, in words. */
export function startKeepAlive(options: KeepAliveOptions): KeepAlive | string {
  const { nats, name, clock, ackWaitMs, onTrouble } = options;
  if (isConnection(nats)) return "this process was given an open connection, and not the settings for another";
  const { authenticator, reconnectDelayHandler: _, ...settings } = connectionOptions(nats, name);
  const thread = theThread(clock);
  if (typeof thread === "string") return thread;
  const authenticators = [authenticator ?? []].flat();
  const { promise: ready, resolve: settle } = Promise.withResolvers<void>();
  if (authenticators.length === 0) settle();
  const id = thread.open({ authenticators, onTrouble, settle });
  try {
    thread.post({ type: "open", id, options: settings, asksMain: authenticators.length > 0, ackWaitMs });
  } catch (error) {
    thread.close(id);
    return `the settings of the connection cannot be passed to a thread (${(error as Error).message})`;
  }
  return new Table(
    (memory) => thread.post({ type: "block", id, memory }),
    () => thread.close(id),
    clock,
    ready,
  );
}

/** What the main thread has in hand. Its rows are used again, so that holding one makes no garbage. */
class Table implements KeepAlive {
  readonly #clock: Clock;
  readonly #share: (memory: SharedArrayBuffer) => void;
  readonly #close: () => void;
  readonly #free: Kept[] = [];
  readonly ready: Promise<void>;

  constructor(share: (memory: SharedArrayBuffer) => void, close: () => void, clock: Clock, ready: Promise<void>) {
    this.ready = ready;
    this.#share = share;
    this.#close = close;
    this.#clock = clock;
  }

  hold(ackSubject: string, ackWaitMs: number): Kept | undefined {
    if (this.#free.length === 0) this.#grow();
    const kept = this.#free.pop()!;
    if (kept.begin(ackSubject, ackWaitMs, this.#clock.now())) return kept;
    this.#free.push(kept);
    return undefined;
  }

  stop(): void {
    this.#close();
  }

  #grow(): void {
    const block = Block.make(ROWS);
    for (let row = ROWS - 1; row >= 0; row--) this.#free.push(new Kept(block, row, this.#free));
    this.#share(block.memory);
  }
}

/** A delivery in the table, until `release()`: then it may be another's. */
export class Kept {
  readonly #block: Block;
  readonly #row: number;
  readonly #free: Kept[];

  constructor(block: Block, row: number, free: Kept[]) {
    this.#block = block;
    this.#row = row;
    this.#free = free;
  }

  /** @returns false if the subject is too long. */
  begin(subject: string, ackWaitMs: number, now: number): boolean {
    const block = this.#block;
    const row = this.#row;
    block.set(row, KEPT_AT, 0);
    block.set(row, WAS_LATE, 0);
    block.set(row, UNTIL, 0);
    block.set(row, ACK_WAIT_MS, ackWaitMs);
    block.set(row, ALIVE_AT, now);
    return block.take(row, subject);
  }

  /** The main thread has kept it alive. */
  alive(now: number, ackWaitMs: number): void {
    this.#block.set(this.#row, ACK_WAIT_MS, ackWaitMs);
    this.#block.set(this.#row, ALIVE_AT, now);
  }

  /** Until then the main thread may be computing for it; Infinity: without a limit of its own. */
  set until(at: number) {
    this.#block.set(this.#row, UNTIL, at);
  }

  /** When the thread kept it alive the last time, without having been late before; 0 if it has not. */
  get lastAt(): number {
    const keptAt = this.#block.get(this.#row, KEPT_AT);
    return keptAt === 0 || this.#block.get(this.#row, WAS_LATE) === 1 ? 0 : keptAt;
  }

  release(): void {
    this.#block.free(this.#row);
    this.#free.push(this);
  }
}

/** For the main thread: one of those who use the thread. */
interface User {
  authenticators: readonly Authenticator[];
  onTrouble: (error: Error) => void;
  /** Called when it has logged in, has failed to, or is not to any more. */
  settle: () => void;
}

class Thread {
  readonly #worker: Worker;
  readonly #login = new SharedArrayBuffer(LOGIN_TEXT_AT + LOGIN_MAX);
  readonly #users = new Map<number, User>();
  #last = 0;

  constructor(url: URL, clock: Clock) {
    this.#worker = new Worker(url, {
      name: "stepstream-keep-alive",
      workerData: { aheadMs: clock.now() - monotonicMs(), login: this.#login },
      // Not what the program was started with: --import would start the program's telemetry again.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.on("message", (message: Told) => this.#told(message));
    this.#worker.on("error", (error) => this.#ended(error));
    this.#worker.on("exit", () => this.#ended(new Error("the thread has ended")));
    this.#worker.unref();
  }

  open(user: User): number {
    this.#users.set(++this.#last, user);
    return this.#last;
  }

  post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  close(id: number): void {
    this.#users.get(id)?.settle();
    if (this.#users.delete(id)) this.post({ type: "close", id });
  }

  #told(message: Told): void {
    const user = this.#users.get(message.id);
    if (message.type === "login") return this.#logIn(user?.authenticators ?? [], message.nonce, message.ticket);
    user?.settle();
    if (message.type === "down") user?.onTrouble(new Error(message.why));
  }

  #logIn(authenticators: readonly Authenticator[], nonce: string | undefined, ticket: number): void {
    const state = new Int32Array(this.#login, 0, LOGIN_TEXT_AT / 4);
    // It has stopped waiting.
    if (Atomics.load(state, LOGIN_TICKET) !== ticket) return;
    let length = -1;
    try {
      const auth: Auth = Object.assign({}, ...authenticators.map((authenticator) => authenticator(nonce)));
      const text = JSON.stringify(auth);
      if (Buffer.byteLength(text) <= LOGIN_MAX) length = Buffer.from(this.#login, LOGIN_TEXT_AT).write(text);
    } catch {
      // The main connection meets the same, and says so.
    }
    Atomics.store(state, LOGIN_STATE, length);
    Atomics.notify(state, LOGIN_STATE);
  }

  #ended(error: Error): void {
    if (shared === this) shared = undefined;
    for (const { onTrouble, settle } of this.#users.values()) {
      settle();
      onTrouble(error);
    }
    this.#users.clear();
  }
}

/** The process's. It stays when nobody uses it: a thread takes a while to start. */
let shared: Thread | undefined;

/** @returns Why there can be none, in words. */
function theThread(clock: Clock): Thread | string {
  if (shared) return shared;
  // In a bundle all code is in one file: there is none to start a thread from.
  const [, extension] = /[\\/]keep-alive[\\/]keep-alive\.([jt]s)$/.exec(import.meta.url ?? "") ?? [];
  if (extension === undefined) return "the code of the thread is not in a file of its own: this program is a bundle";
  try {
    shared = new Thread(new URL(`./thread.${extension}`, import.meta.url), clock);
  } catch (error) {
    return `a thread cannot be started (${(error as Error).message})`;
  }
  return shared;
}
