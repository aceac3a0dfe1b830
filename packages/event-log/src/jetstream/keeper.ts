import { LogRefusedError, PermissionDeniedError, type StreamKind } from "@stepstream/contracts";
import type { Subscription } from "../port.ts";
import { Retry } from "../retry.ts";
import { API } from "./answers.ts";
import type { Link } from "./link.ts";
import { type ApiFault, isFault, type Requests } from "./requests.ts";
import { PARTITIONS_KEY } from "./streams.ts";

/** Streams that an operator, or a server with another disk, can lose. */
export type KeptStream = StreamKind | "BLOBS";

/** A stream as the server describes it. */
export interface FoundStream {
  config: { name: string; metadata?: Record<string, string>; [setting: string]: unknown };
  /** Another stream of the same name has another. */
  created: string;
}

/**
 * Keeps the streams of a namespace in existence while this process runs.
 *
 * E1. A stream that is gone is made again as it was: with its replicas, limits and placement, not with those of the
 *     options. Where `create` is false nothing is made, and what needs the stream is refused (10059).
 * E2. The streams are looked at after each reconnection, where an answer suggests that one is gone, and every 3 s while
 *     there is a listener to losses. One look at a time; a look that fails is repeated after growing waits.
 * E3. Each loss is reported once, also if another process has made the stream again.
 * E4. Where EVENTS is there again with another number of partitions, the log is closed: every subject would be wrong.
 *
 * Checked elsewhere:
 *   E1  test/conformance/lost-streams.test.ts: is made again as it was
 *   E2  test/conformance/lost-streams.test.ts: is made again where nothing asks for it
 *   E3  test/conformance/lost-streams.test.ts: is reported once to each process
 *   E4  test/conformance/lost-streams.test.ts: with another number of partitions closes the log
 */
const LOOK_MS = 3_000;
/** Looks that are asked for closer than this are one. */
const PAUSE_MS = 250;
const REPORT_MS = 10_000;
/** Placing a stream's replicas takes a cluster a while. */
const CREATE_MS = 15_000;

export class Keeper {
  readonly #link: Link;
  readonly #create: boolean;
  readonly #listeners = new Set<(lost: readonly KeptStream[]) => void>();
  readonly #known = new Map<string, FoundStream>();
  /** Gone, and not to be made here. */
  readonly #missing = new Set<string>();
  /** Gone, and why it could not be made. */
  readonly #failed = new Map<string, string>();
  readonly #retry: Retry;
  #requests: Requests | undefined;
  #namespace = "";
  #looking = false;
  #lookAt = Number.NEGATIVE_INFINITY;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #subscriptions: Subscription[] = [];

  constructor(link: Link, create: boolean) {
    this.#link = link;
    this.#create = create;
    this.#retry = new Retry(link.clock, () => this.#look(), { firstMs: 250, longestMs: 5_000 });
  }

  /** @param found - The streams as they were found when the log was connected. */
  start(requests: Requests, namespace: string, found: readonly FoundStream[]): void {
    this.#requests = requests;
    this.#namespace = namespace;
    for (const stream of found) this.#known.set(stream.config.name, stream);
    this.#subscriptions = [
      this.#link.onUp(() => this.#look()),
      this.#link.everyTick((now) => {
        if (this.#listeners.size > 0 && now - this.#lookAt > LOOK_MS) this.#look();
      }),
    ];
  }

  /** The streams as they were last seen, for a log that is to be connected to the same namespace. */
  get streams(): FoundStream[] {
    return [...this.#known.values()];
  }

  onLost(fn: (lost: readonly KeptStream[]) => void): Subscription {
    const own = (lost: readonly KeptStream[]) => fn(lost);
    this.#listeners.add(own);
    return { stop: () => void this.#listeners.delete(own) };
  }

  /**
   * Called where an answer suggests that a stream is gone. Looks soon, if it keeps that stream.
   *
   * @param subject - Of the message or request that was not answered as expected.
   * @returns Why it will not be answered either if it is sent again; undefined if it may be.
   */
  suspect(what: string, subject: string, kind: "read" | "write" | "setup"): LogRefusedError | undefined {
    if (!this.#requests) return undefined;
    const now = this.#link.clock.now();
    if (now - this.#lookAt >= PAUSE_MS) this.#look();
    if (this.#missing.size === 0) return undefined;
    const missing = [...this.#missing].find((name) => isFor(this.#known.get(name)!, subject));
    return missing === undefined ? undefined : refusal(what, missing, kind);
  }

  /** For people: why the stream that a subject needs is not there. */
  whyMissing(subject: string): string | undefined {
    const failed = [...this.#failed].find(([name]) => isFor(this.#known.get(name)!, subject));
    return failed && `stream ${failed[0]} does not exist, and could not be made: ${failed[1]}`;
  }

  stop(): void {
    this.#retry.stop();
    for (const subscription of this.#subscriptions) subscription.stop();
  }

  #look(): void {
    if (this.#looking || this.#link.dead()) return;
    this.#looking = true;
    this.#lookAt = this.#link.clock.now();
    this.#lookAtAll()
      .then(
        () => this.#retry.done(),
        (error) => {
          this.#report(error);
          this.#retry.schedule();
        },
      )
      .finally(() => {
        this.#looking = false;
      });
  }

  /**
   * Once in 10 s. While the server is away its connection says so; where nothing may be made, the calls that need it do; and
   * a permission that is missing is reported as such.
   */
  #report(error: unknown): void {
    if (!(error instanceof LogRefusedError) || error instanceof PermissionDeniedError || !this.#create) return;
    const now = this.#link.clock.now();
    if (now - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = now;
    this.#link.callbacks.report("keep the streams", error);
  }

  async #lookAtAll(): Promise<void> {
    const lost: KeptStream[] = [];
    let failure: unknown;
    // EVENTS is the first: who makes it decides the number of partitions.
    const [events, ...others] = this.#known.keys();
    const lookAt = async (name: string) => {
      try {
        if (await this.#keep(name)) lost.push(name.slice(this.#namespace.length + 1) as KeptStream);
      } catch (error) {
        failure ??= error;
      }
    };
    await lookAt(events!);
    await Promise.all(others.map(lookAt));
    if (lost.length > 0)
      for (const listener of [...this.#listeners])
        this.#link.callbacks.call("a listener to lost streams", listener, lost);
    if (failure !== undefined) throw failure;
  }

  /** @returns Whether it was lost, and is there again. */
  async #keep(name: string): Promise<boolean> {
    const known = this.#known.get(name)!;
    let found = await this.#ask(`STREAM.INFO.${name}`);
    if (isGone(found)) {
      if (!this.#create) {
        this.#missing.add(name);
        throw refusal(`the use of stream ${name}`, name, "setup");
      }
      found = await this.#ask(`STREAM.CREATE.${name}`, known.config).catch((error: Error) => {
        this.#failed.set(name, error.message);
        throw error;
      });
      if (isFault(found)) this.#failed.set(name, found.fault.why);
      // Another process was faster.
      if (isFault(found) && found.fault.code === API.streamNameInUse) found = await this.#ask(`STREAM.INFO.${name}`);
    }
    if (isFault(found)) throw new LogRefusedError(`stream ${name}`, found.fault.code, found.fault.why, "setup");
    this.#missing.delete(name);
    this.#failed.delete(name);
    if (found.created === known.created) {
      // What an operator changes is what it is made like.
      this.#known.set(name, found);
      return false;
    }
    const partitions = known.config.metadata?.[PARTITIONS_KEY];
    const now = found.config.metadata?.[PARTITIONS_KEY];
    if (now !== partitions) {
      const why = `namespace "${this.#namespace}" was deleted and made again, with ${now ?? "no"} partitions instead of ${partitions}`;
      this.#link.end(why);
      return false;
    }
    this.#known.set(name, found);
    return true;
  }

  #ask(name: string, body?: unknown): Promise<FoundStream | ApiFault> {
    return this.#requests!.api<FoundStream>(name, body, { asIs: true, timeoutMs: CREATE_MS });
  }
}

function isGone(answer: FoundStream | ApiFault): boolean {
  return isFault(answer) && answer.fault.code === API.streamNotFound;
}

function refusal(what: string, stream: string, kind: "read" | "write" | "setup"): LogRefusedError {
  const why = `stream ${stream} does not exist, and this process must not make it. A process that may makes it again`;
  return new LogRefusedError(what, API.streamNotFound, why, kind);
}

/** Whether a message or request on a subject needs the stream. */
function isFor({ config }: FoundStream, subject: string): boolean {
  if (subject.startsWith("$JS.API.")) return subject.split(".").includes(config.name);
  return (config.subjects as string[]).some((filter) => subject.startsWith(filter.slice(0, -1)));
}
