import {
  type ConnectionOptions,
  connect,
  createInbox,
  type Msg,
  type NatsConnection,
  PermissionViolationError,
} from "@nats-io/transport-node";
import { LogUnavailableError } from "@stepstream/contracts";
import { Callbacks } from "../callbacks.ts";
import type { Clock } from "../clock.ts";
import type { ConnectionChange, Denial, Subscription } from "../port.ts";
import { ServerClock } from "../server-clock.ts";
import { Denials } from "./denials.ts";
import { isLoginRefused, lasting } from "./login.ts";
import { permissionNeeded } from "./permissions.ts";
import { type LastingSubscription, subscribeLasting } from "./subscriptions.ts";

/**
 * The connection, seen as: up, or down since a cut, and who wants to know.
 *
 * K1. Everybody hears of a cut before anybody hears of the reconnection that ends it. What was on
 *     its way when the cut came is void; nobody waits for it.
 * K2. It reconnects for ever, also where logins are refused. Only `close()` ends it. A connection whose own options say
 *     otherwise, or that its owner closes, is reported as closed: it does not come back.
 * K3. `dead()` is true where a publish could go nowhere: nats.js would keep what is published while
 *     it is down, and drop it with the next dial; better to say so at once.
 * K4. One timer serves all time-outs (`everyTick`). It tells how late it is itself, so that a stalled
 *     event loop is not mistaken for a silent server.
 * K5. What the server does not permit is reported at once: no answer will come.
 *
 * Checked elsewhere:
 *   K1  test/conformance/suite.ts: is told once it is back, and that the flow was broken; and the flow goes on
 *   K2  test/conformance/jetstream.test.ts: has all it acknowledged; consumptions and timers go on; it is known to be another process
 *   K2  test/e2e/login.test.ts: keeps programs trying, which say so, and go on with their runs at once
 *   K3  test/conformance/jetstream.test.ts: is not even tried without a connection
 *   K4  test/conformance/jetstream.test.ts: fails after its time-out where the server stays silent
 *   K5  test/cli/connect.test.ts: says at once what it does not permit
 */
export interface Link {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  /** The time of the server that leads EVENTS: see keep-time.ts. */
  readonly serverClock: ServerClock;
  /** Everything that calls back from the connection does it through these: see there. */
  readonly callbacks: Callbacks;
  readonly serverId: string;
  dead(): boolean;
  onDown(fn: (why: string) => void): Subscription;
  onUp(fn: (serverId: string) => void): Subscription;
  /** Called with what the server does not permit. @returns Whether a call has thrown it. */
  onDenied(fn: (denial: Denial) => boolean): Subscription;
  readonly denials: Denials;
  /** @param onDenied - Called each time the server does not permit it; it is made again by itself. */
  subscribe(subject: string, onMessage: (msg: Msg) => void, onDenied?: () => void): LastingSubscription;
  /** For people and programs: see there. */
  onChange(fn: (change: ConnectionChange) => void): Subscription;
  everyTick(fn: (now: number, lateMs: number) => void): Subscription;
  /** How long what is read from the connection now may have lain unread: 0 but in and after a stall. */
  stallMs(): number;
  /** A new subject of this connection's inbox space, without a trailing dot. */
  newInbox(): string;
  /** Ends it for good: what it was opened for is not there any more. */
  end(why: string): void;
  close(): Promise<void>;
  /** Ends at once, without a word to anybody. */
  abandon(): void;
}

const TICK_MS = 100;

export type NatsTarget = string | readonly string[] | ConnectionOptions | NatsConnection;

/** What holds for every connection we make, unless the caller's options say otherwise. */
const DEFAULTS: ConnectionOptions = {
  maxReconnectAttempts: -1,
  waitOnFirstConnect: false,
  // A server that comes back meets all its clients at once: they spread over half a second.
  reconnectDelayHandler: () => 50 + Math.floor(Math.random() * 450),
  // A cable that was pulled is noticed within half a minute.
  pingInterval: 10_000,
  maxPingOut: 2,
  timeout: 5_000,
};

export async function openLink(target: NatsTarget, name: string, clock: Clock): Promise<Link> {
  if (isConnection(target)) return linkOver(target, clock, false);
  const options = connectionOptions(target, name);
  try {
    return linkOver(await connect(options), clock, true);
  } catch (cause) {
    const servers = options.servers ?? `127.0.0.1:${options.port ?? 4222}`;
    const where = withoutSecrets(typeof servers === "string" ? servers : servers.join(", "));
    throw new LogUnavailableError(`the connection to ${where}`, `${(cause as Error).message}. Does nats-server run?`, {
      cause,
    });
  }
}

/** Options of nats.js for a connection of ours. */
export function connectionOptions(target: Exclude<NatsTarget, NatsConnection>, name: string): ConnectionOptions {
  const given =
    typeof target === "string" || Array.isArray(target)
      ? fromUrls(target as string | string[])
      : (target as ConnectionOptions);
  return { ...DEFAULTS, name, ...lasting(given) };
}

/** What makes a new connection like that one. */
export function anotherLike(target: NatsTarget): NatsTarget {
  if (!isConnection(target)) return target;
  return { ...(target as { options?: ConnectionOptions }).options };
}

export function isConnection(target: NatsTarget): target is NatsConnection {
  return typeof (target as NatsConnection).publish === "function";
}

/**
 * What nats.js takes for URLs: it passes over `user:password@` and `token@` in them, which every other client of NATS
 * knows. They may be percent-encoded; the first URL that has them speaks for all.
 */
export function fromUrls(urls: string | readonly string[]): ConnectionOptions {
  const all = [urls].flat().flatMap((some) => some.split(",").map((one) => one.trim()));
  const said = all.map((url) => /^(?:[a-z]+:\/\/)?([^/]*)@/i.exec(url)?.[1]).find(Boolean);
  const servers = all.map(withoutSecrets);
  if (said === undefined) return { servers };
  const [user = "", ...pass] = said.split(":");
  if (pass.length === 0) return { servers, token: decoded(user) };
  return { servers, user: decoded(user), pass: decoded(pass.join(":")) };
}

/** What was not percent-encoded, in spite of its percent sign, is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `nats://user:password@host` → `nats://host` */
export function withoutSecrets(urls: string): string {
  return urls.replace(/(^|[\s,/])[^\s,/]*@/g, "$1");
}

function linkOver(nc: NatsConnection, clock: Clock, own: boolean): Link {
  const downs = new Set<(why: string) => void>();
  const ups = new Set<(serverId: string) => void>();
  const denied = new Set<(denial: Denial) => boolean>();
  const denials = new Denials(clock);
  const ticks = new Set<(now: number, lateMs: number) => void>();
  const changes = new Set<(change: ConnectionChange) => void>();
  const callbacks = new Callbacks();
  let down = false;
  let downAt = 0;
  let closing = false;
  /** Why it was ended here. */
  let ended: string | undefined;
  let serverId = nc.info?.server_id ?? "";
  let timer: unknown;
  let due = 0;
  let lastLateMs = 0;
  let inboxes = 0;
  // nats.js keeps the prefix that the account's permissions may ask for to itself.
  const base = createInbox((nc as { options?: { inboxPrefix?: string } }).options?.inboxPrefix);

  function cut(why: string): void {
    if (down) return;
    down = true;
    downAt = clock.now();
    for (const fn of [...downs]) callbacks.call("a listener to cuts", fn, why);
    if (!closing) changed({ state: "down", why });
  }
  function changed(change: ConnectionChange): void {
    for (const fn of [...changes]) callbacks.call("a listener to the connection", fn, change);
  }
  function onDenied(error: PermissionViolationError): void {
    // A subject with characters that nats.js cannot read in the server's words.
    const subject = error.subject || error.message;
    const operation = error.operation === "subscription" ? "subscribe" : "publish";
    const denial: Denial = { operation, subject, needed: permissionNeeded(subject) };
    let thrown = false;
    for (const fn of [...denied]) thrown = callbacks.value("a listener to denials", () => fn(denial), false) || thrown;
    denials.note(denial, thrown);
  }
  const statuses = nc.status();
  async function watch(): Promise<void> {
    for await (const status of statuses) {
      if (status.type === "disconnect") cut("the connection was cut");
      else if (status.type === "close") cut("the connection was closed");
      else if (status.type === "reconnect") {
        cut("the connection was cut");
        if (ended !== undefined) continue;
        down = false;
        serverId = nc.info?.server_id ?? serverId;
        for (const fn of [...ups]) callbacks.call("a listener to reconnections", fn, serverId);
        changed({ state: "up", downMs: clock.now() - downAt });
      } else if (status.type === "error" && isLoginRefused(status.error)) {
        changed({ state: "refused", why: status.error.message });
      } else if (status.type === "error" && status.error instanceof PermissionViolationError) {
        onDenied(status.error);
      }
    }
    cut("the connection was closed");
    if (!closing) changed({ state: "closed", why: ended ?? reasonOf(await nc.closed()) });
    closing = true;
    if (timer !== undefined) clock.clearTimeout(timer);
  }
  void watch();

  function arm(): void {
    if (timer !== undefined || ticks.size === 0 || closing) return;
    due = clock.now() + TICK_MS;
    timer = clock.setTimeout(tick, TICK_MS);
  }
  function tick(): void {
    timer = undefined;
    if (closing) return;
    const now = clock.now();
    const lateMs = now - due;
    lastLateMs = lateMs;
    for (const fn of [...ticks]) callbacks.call("a timer of the event log", fn, now, lateMs);
    arm();
  }

  return {
    nc,
    clock,
    serverClock: new ServerClock(clock),
    callbacks,
    get serverId() {
      return serverId;
    },
    dead: () => down || nc.isClosed(),
    onDown: (fn) => joined(downs, fn),
    onUp: (fn) => joined(ups, fn),
    onDenied: (fn) => joined(denied, fn),
    denials,
    subscribe: (subject, onMessage, onDenied) => subscribeLasting(nc, clock, subject, onMessage, onDenied),
    onChange: (fn) => joined(changes, fn),
    everyTick(fn) {
      const sub = joined(ticks, fn);
      arm();
      return sub;
    },
    stallMs() {
      const lateMs = timer === undefined ? 0 : clock.now() - due;
      const worst = Math.max(lastLateMs, lateMs);
      return worst > TICK_MS ? worst : 0;
    },
    newInbox: () => `${base}.${(++inboxes).toString(36)}`,
    end(why) {
      if (ended !== undefined || closing) return;
      ended = why;
      if (own) return void nc.close().catch(() => {});
      // A connection that is not ours stays, and nothing of this log works on it.
      cut(why);
      changed({ state: "closed", why });
      closing = true;
      if (timer !== undefined) clock.clearTimeout(timer);
    },
    async close() {
      closing = true;
      if (timer !== undefined) clock.clearTimeout(timer);
      if (nc.isClosed()) return;
      // Draining waits for the server; a server that is away gets no last words.
      if (own) await (down ? nc.close() : nc.drain().catch(() => nc.close()));
      else if (!down) await nc.flush().catch(() => {});
      cut("the connection was closed");
      (statuses as { stop?(): void }).stop?.();
    },
    abandon() {
      closing = true;
      down = true;
      if (timer !== undefined) clock.clearTimeout(timer);
      for (const fns of [downs, ups, denied, changes, ticks]) fns.clear();
      if (own) discard(nc);
    },
  };
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : "it was closed by this process";
}

/** Closes the socket now. `close()` alone waits for iterators that may never move again. */
function discard(nc: NatsConnection): void {
  const { protocol } = nc as { protocol?: { transport?: { discard?(): void }; _closed?: boolean } };
  protocol?.transport?.discard?.();
  // Ends its timers, as far as it comes.
  nc.close().catch(() => {});
  // It dials no more.
  if (protocol) protocol._closed = true;
}

function joined<F>(set: Set<F>, fn: F): Subscription {
  set.add(fn);
  return { stop: () => void set.delete(fn) };
}
