import { createHash } from "node:crypto";
import { decode, Presence, RELEASE } from "@stepstream/contracts";
import { deniedIn, type Subscription, wallOf } from "@stepstream/event-log";
import type { AnyWorkflow } from "@stepstream/sdk";
import type { Deps } from "./deps.ts";

/** More coordinators than partitions are of no use, and there are at most some hundreds of those. */
const PEERS_MAX = 1_000;
/** A beat that is late is not a cut. Less than what makes a peer gone. */
const ECHOES_MISSED = 2;

/**
 * Who is there, and who takes which partition.
 *
 * Each coordinator says once a second that it is there; each computes from that, alike, who should have
 * a partition (rendezvous hashing: when one comes or goes, only its own share moves). The views may differ
 * for a while, and then two have the same partition: that costs speed, not safety. The journal's fence
 * is the safety.
 *
 * M1. A coordinator that does not receive its own presence learns nothing of others either: its link is down, or its
 *     event loop was blocked. Then it takes no other for gone; once it receives its own again, the others have the usual
 *     time to be heard.
 *
 * Checked elsewhere:
 *   M1  ../../../../test/simulation/outage.test.ts: take nobody for gone, and no partition, until they are back
 */
export class Membership {
  readonly #deps: Deps;
  readonly #onChange: () => void;
  readonly #seen = new Map<string, { at: number; workflows: ReadonlySet<string> }>();
  #subscriptions: Subscription[] = [];
  #timer: unknown;
  #stopped = false;
  #hashes: Record<string, string> | undefined;
  /** When its own presence came back from the server, the last time. Never, where the connection is set to no echo. */
  #echoAt: number | undefined;

  constructor(deps: Deps, onChange: () => void) {
    this.#deps = deps;
    this.#onChange = onChange;
  }

  start(): void {
    const { log } = this.#deps;
    this.#subscriptions = [
      log.listen(log.subjects.presence, (text) => this.#hear(text)),
      log.listen(log.subjects.rollCall, () => this.#say(false, true)),
    ];
    this.#beat();
  }

  /** Says good-bye, so that the others take over at once. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#deps.clock.clearTimeout(this.#timer);
    for (const subscription of this.#subscriptions) subscription.stop();
    this.#say(true);
  }

  /** Is silent from now on. */
  abandon(): void {
    this.#stopped = true;
    this.#deps.clock.clearTimeout(this.#timer);
  }

  /** The ids of all coordinators that are there, this one included, sorted. */
  get peers(): string[] {
    return [...this.#seen.keys(), this.#deps.id].sort();
  }

  /** It is cut off from the others (M1). */
  get isolated(): boolean {
    const { clock, settings } = this.#deps;
    return this.#echoAt !== undefined && clock.now() - this.#echoAt > ECHOES_MISSED * settings.presenceMs;
  }

  /** Is the partition this coordinator's? */
  owns(partition: number): boolean {
    const peers = this.peers;
    let best = peers[0]!;
    for (const peer of peers) if (weight(peer, partition) > weight(best, partition)) best = peer;
    return best === this.#deps.id;
  }

  /**
   * Another coordinator that runs a workflow, for a run that cannot be handled here: everybody names the same one.
   * @param workflow - `<name>@<version>`.
   */
  hostOf(workflow: string, run: string): string | undefined {
    let best: string | undefined;
    for (const [peer, { workflows }] of this.#seen)
      if (workflows.has(workflow) && (!best || weight(peer, run) > weight(best, run))) best = peer;
    return best;
  }

  /** Worked out when it is first asked for: most coordinators are never asked. */
  #code(): Record<string, string> {
    this.#hashes ??= Object.fromEntries(
      [...this.#deps.workflows].map(([key, workflow]) => [key, codeHash(workflow)] as const),
    );
    return this.#hashes;
  }

  #beat(): void {
    const { clock, settings } = this.#deps;
    this.#say(false);
    const now = clock.now();
    let gone = false;
    if (!this.isolated)
      for (const [id, { at }] of this.#seen) if (now - at > 3 * settings.presenceMs) gone = this.#seen.delete(id);
    if (gone) this.#changed();
    this.#timer = clock.setTimeout(() => this.#beat(), settings.presenceMs);
  }

  #hear(text: string): void {
    let said: Presence;
    try {
      said = decode(Presence, text, this.#deps.log.subjects.presence);
    } catch (error) {
      // A newer release may say it in another version: it is no peer of this one, then.
      return this.#deps.warn(`ignored a message on ${this.#deps.log.subjects.presence}`, error);
    }
    const { id, leaving, workflows } = said;
    if (this.#stopped) return;
    if (id === this.#deps.id) return this.#hearSelf();
    const known = this.#seen.has(id);
    if (!known && this.#seen.size >= PEERS_MAX)
      return this.#deps.warn(`ignored a peer beyond ${PEERS_MAX}`, new RangeError(`coordinator ${id}`));
    if (leaving) this.#seen.delete(id);
    else this.#seen.set(id, { at: this.#deps.clock.now(), workflows: new Set(workflows) });
    if (known !== leaving) return;
    // A newcomer learns of us at once, not within the second.
    if (!leaving) this.#say(false);
    this.#changed();
  }

  #hearSelf(): void {
    const now = this.#deps.clock.now();
    const wasIsolated = this.isolated;
    this.#echoAt = now;
    if (!wasIsolated) return;
    for (const peer of this.#seen.values()) peer.at = now;
    this.#onChange();
  }

  #changed(): void {
    this.#deps.emit({ type: "peers", peers: this.peers });
    this.#onChange();
  }

  #say(leaving: boolean, asked = false): void {
    const { log, id, workflows, clock } = this.#deps;
    const presence: Presence = {
      v: 1,
      type: "Presence",
      id,
      leaving,
      workflows: [...workflows.keys()],
      ...(asked && { code: this.#code() }),
      release: RELEASE,
      at: wallOf(clock),
      ...deniedIn(log),
    };
    log.broadcast(log.subjects.presence, JSON.stringify(presence));
  }
}

/**
 * A hash of what a workflow function is written like. It says that code differs, not that it is the same: what the function
 * calls is not in it.
 */
function codeHash({ run, graph }: AnyWorkflow): string {
  return createHash("sha256")
    .update(`${run}${JSON.stringify(graph)}`)
    .digest("hex")
    .slice(0, 16);
}

/** FNV-1a, 32 bit, of a peer and what it may have, mixed once more so that near inputs are far apart. */
function weight(peer: string, what: number | string): number {
  let hash = 0x811c9dc5;
  const key = `${what}/${peer}`;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}
