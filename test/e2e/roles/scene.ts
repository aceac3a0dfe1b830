/** A nats-server with a user for each role, as `stepstream namespace permissions` writes them, and what each has done there. */
import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { configOf } from "../../../packages/cli/src/permissions/config.ts";
import { type RoleUser, roleUser } from "../../../packages/cli/src/permissions/users.ts";
import { cli, type Ran } from "../../cli/scene.ts";
import { type GuardedServer, startGuardedServer } from "../../support/guarded.ts";

export const NS = "shop";
/** Its name begins as that of the other does. */
export const OTHER = "shop_EVENTS";
const PASSWORD = "secret";

export const USERS = {
  client: roleUser(NS, "client"),
  batch: roleUser(NS, "client", { user: "shop-batch" }),
  charge: roleUser(NS, "worker", { user: "shop-charge", steps: ["charge", "hold"] }),
  refund: roleUser(NS, "worker", { user: "shop-refund", steps: ["refund", "broken"] }),
  coordinator: roleUser(NS, "coordinator"),
  viewer: roleUser(NS, "viewer"),
  operator: roleUser(NS, "operator"),
  stranger: roleUser(OTHER, "operator"),
} as const;
export type Who = keyof typeof USERS;

export class RoleServer {
  readonly server: GuardedServer;
  readonly used: Used;

  private constructor(server: GuardedServer, used: Used) {
    this.server = server;
    this.used = used;
  }

  /** @param flags - Feature flags of nats-server. */
  static async start(flags = ""): Promise<RoleServer> {
    const used = new Used();
    const all: readonly RoleUser[] = Object.values(USERS);
    for (const { passwordVariable } of all) process.env[passwordVariable] = PASSWORD;
    const names = all.map(({ variable }) => `$${variable}`).join(", ");
    const config = `${configOf(all, "a test")}
authorization { users: [ { user: admin, password: ${PASSWORD} }, ${names} ] }
trace: true
max_traced_msg_len: 1
${flags}`;
    return new RoleServer(await startGuardedServer(config, "", (line) => used.line(line)), used);
  }

  options(who: Who | "admin"): ConnectionOptions {
    const { address: servers } = this.server;
    if (who === "admin") return { servers, user: "admin", pass: PASSWORD };
    const { user, inboxPrefix } = USERS[who];
    return { servers, user, pass: PASSWORD, inboxPrefix };
  }

  connect(who: Who | "admin"): Promise<NatsConnection> {
    return connect(this.options(who));
  }

  log(who: Who): Promise<EventLog> {
    return connectEventLog({ nats: this.options(who), namespace: NS });
  }

  /** What the docs say that a process has in its environment. */
  env(who: Who): Record<string, string> {
    const { user, inboxPrefix } = USERS[who];
    return {
      NATS_URL: `nats://${this.server.address}`,
      NATS_USER: user,
      NATS_PASSWORD: PASSWORD,
      NATS_INBOX_PREFIX: inboxPrefix,
      STEPSTREAM_NAMESPACE: NS,
    };
  }

  cli(who: Who, args: string | readonly string[], cache: string, signal?: AbortSignal): Promise<Ran> {
    return cli(args, { ...this.env(who), XDG_CACHE_HOME: cache }, signal && { signal });
  }
}

/** Which subjects each user has published and subscribed to, and what it was denied: read from the server's trace. */
export class Used {
  readonly #users = new Map<string, string>();
  readonly #subjects = new Map<string, Set<string>>();
  readonly denied: string[] = [];

  line(line: string): void {
    const [, cid, rest = ""] = /cid:(\d+)(.*)/.exec(line) ?? [];
    if (cid === undefined) return;
    const user = /<<- \[CONNECT .*"user":"([^"]+)"/.exec(rest)?.[1];
    // What doctor tries on a connection of its own is no use of it, and a denial is what it looks for.
    if (user !== undefined) this.#users.set(cid, rest.includes('"name":"stepstream doctor"') ? "doctor" : user);
    const [, verb, subject = ""] = /<<- \[(PUB|HPUB|SUB) (\S+)/.exec(rest) ?? [];
    if (verb !== undefined) this.#of(cid, verb === "SUB" ? "subscribe" : "publish").add(subject);
    const violation = /(\w+ Violation - .*)$/.exec(rest)?.[1];
    const who = this.#users.get(cid);
    if (violation !== undefined && who !== "doctor") this.denied.push(`${who}: ${violation}`);
  }

  by(who: Who, does: "publish" | "subscribe"): ReadonlySet<string> {
    return this.#subjects.get(`${USERS[who].user} ${does}`) ?? new Set();
  }

  #of(cid: string, does: string): Set<string> {
    const key = `${this.#users.get(cid)} ${does}`;
    const known = this.#subjects.get(key) ?? new Set();
    this.#subjects.set(key, known);
    return known;
  }
}
