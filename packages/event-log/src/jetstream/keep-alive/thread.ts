import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Auth, type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { eachDue, noteKept } from "./due.ts";
import { LOGIN_MAX, LOGIN_STATE, LOGIN_TEXT_AT, LOGIN_TICKET, type Told, type ToThread } from "./messages.ts";
import { Block, monotonicMs } from "./table.ts";

/**
 * The keep-alive thread of a process: keeps deliveries alive while the main thread's event loop is blocked, on connections of
 * its own. See keep-alive.ts.
 *
 * It imports the driver and nothing else of this package: it is loaded in every worker.
 */
const TICK_MAX_MS = 250;
const TICK_MIN_MS = 20;
/** Ticks in the shortest ack wait that is in hand. */
const TICKS = 24;
const DIAL_AGAIN_MS = 2_000;
const DIAL_AGAIN_MAX_MS = 60_000;
/** How long a login waits for the main thread, which may be blocked. */
const LOGIN_WAIT_MS = 1_000;

const port: MessagePort = parentPort!;
/** From this process' monotonic time to the main thread's clock. */
const { aheadMs, login } = workerData as { aheadMs: number; login: SharedArrayBuffer };
const loginState = new Int32Array(login, 0, LOGIN_TEXT_AT / 4);
const loginText = Buffer.from(login, LOGIN_TEXT_AT);
const now = () => monotonicMs() + aheadMs;

class Keeper {
  readonly #id: number;
  readonly #ackWaitMs: number;
  readonly #blocks: Block[] = [];
  #nc: NatsConnection | undefined;
  #isUp = false;
  #closed = false;
  #lastAuth: Auth | undefined;

  constructor({ id, options, asksMain, ackWaitMs }: Extract<ToThread, { type: "open" }>) {
    this.#id = id;
    this.#ackWaitMs = ackWaitMs;
    const authenticator = (nonce?: string) => {
      this.#lastAuth = askMain(id, nonce) ?? this.#lastAuth;
      if (!this.#lastAuth) throw new Error("the main thread, which has the credentials, does not answer");
      return this.#lastAuth;
    };
    void this.#dial(asksMain ? { ...options, authenticator } : options, DIAL_AGAIN_MS);
  }

  add(block: Block): void {
    this.#blocks.push(block);
  }

  /** @returns The shortest ack wait. */
  tick(at: number): number {
    const shortestMs = eachDue(this.#blocks, at, (block, row) => {
      if (!this.#nc || !this.#isUp) return;
      const use = block.use(row);
      const subject = block.subject(row);
      // Released meanwhile, and perhaps another's: it is looked at in the next tick.
      if (!block.isTaken(row) || block.use(row) !== use) return;
      this.#nc.publish(subject, "+WPI");
      noteKept(block, row, at);
    });
    return Math.min(shortestMs, this.#ackWaitMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#nc?.close().catch(() => {});
  }

  async #dial(options: ConnectionOptions, againMs: number): Promise<void> {
    try {
      const reconnectDelayHandler = () => 50 + Math.floor(Math.random() * 450);
      this.#nc = await connect({ ...options, reconnectDelayHandler });
      if (this.#closed) return await this.close();
      this.#isUp = true;
      port.postMessage({ type: "up", id: this.#id } satisfies Told);
      for await (const { type } of this.#nc.status()) {
        if (type === "disconnect") this.#isUp = false;
        if (type === "reconnect") this.#isUp = true;
      }
    } catch (error) {
      port.postMessage({ type: "down", id: this.#id, why: (error as Error).message } satisfies Told);
    }
    // Refused, or closed for good: also that may change.
    this.#isUp = false;
    this.#nc = undefined;
    if (this.#closed) return;
    setTimeout(() => {
      if (!this.#closed) void this.#dial(options, Math.min(2 * againMs, DIAL_AGAIN_MAX_MS));
    }, againMs);
  }
}

/** Has the main thread work out a login, as only it has the functions that do. */
function askMain(id: number, nonce: string | undefined): Auth | undefined {
  const ticket = Atomics.add(loginState, LOGIN_TICKET, 1) + 1;
  Atomics.store(loginState, LOGIN_STATE, 0);
  port.postMessage({ type: "login", id, nonce, ticket } satisfies Told);
  if (Atomics.wait(loginState, LOGIN_STATE, 0, LOGIN_WAIT_MS) === "timed-out") return undefined;
  const length = Atomics.load(loginState, LOGIN_STATE);
  if (length <= 0 || length > LOGIN_MAX) return undefined;
  return JSON.parse(loginText.toString("utf8", 0, length));
}

const keepers = new Map<number, Keeper>();

port.on("message", (message: ToThread) => {
  if (message.type === "open") keepers.set(message.id, new Keeper(message));
  else if (message.type === "block") keepers.get(message.id)?.add(new Block(message.memory));
  else {
    void keepers.get(message.id)?.close();
    keepers.delete(message.id);
  }
});

function tick(): void {
  const at = now();
  let shortestMs = Number.POSITIVE_INFINITY;
  for (const keeper of keepers.values()) shortestMs = Math.min(shortestMs, keeper.tick(at));
  setTimeout(tick, Math.max(TICK_MIN_MS, Math.min(TICK_MAX_MS, shortestMs / TICKS)));
}
tick();
