import type { Clock } from "@stepstream/event-log";
import type { Faults } from "@stepstream/event-log/memory";
import type { Chance } from "../chance.ts";
import type { Ledger } from "./ledger.ts";

/** How often things go wrong in one world, and how badly. */
export interface Weather {
  /** How long the server remembers message ids. */
  readonly dedupeMs: number;
  /** Before any one effect, as a probability. */
  readonly crash: number;
  readonly lose: number;
  readonly loseAck: number;
  /** How far a replica is behind, in milliseconds. */
  readonly stale: number;
  /** Mean, one way, in milliseconds. */
  readonly latency: number;
  /** Mean times between them, in milliseconds; 0 for never. */
  readonly cut: number;
  readonly restart: number;
  readonly pause: number;
  readonly vanish: number;
}

/** What goes missing in a world. Drawn apart, so that the rest of the world is the same without it. */
export function drawVanishing(chance: Chance): Pick<Weather, "vanish"> {
  return { vanish: chance.pick([0, 0, 15_000]) };
}

/** Each world has weather of its own: some are calm but for crashes, some lose every tenth message. */
export function drawWeather(chance: Chance): Omit<Weather, "vanish"> {
  return {
    // Ids that are soon forgotten show what rests on them alone.
    dedupeMs: chance.pick([120_000, 300]),
    crash: chance.pick([0, 0.0005, 0.002, 0.006]),
    lose: chance.pick([0, 0.01, 0.05]),
    loseAck: chance.pick([0, 0.02, 0.2]),
    stale: chance.pick([0, 50, 1_500]),
    latency: chance.pick([0.5, 3, 30, 300]),
    cut: chance.pick([0, 8_000, 3_000]),
    restart: chance.pick([0, 0, 20_000]),
    pause: chance.pick([0, 0, 15_000, 6_000]),
  };
}

/** What the weather does to messages, until it clears up. Who asks for an effect may be crashed before it. */
export class Storm implements Faults {
  readonly timeoutMs = 2_000;
  over = false;
  readonly #weather: Weather;
  readonly #chance: Chance;
  readonly #ledger: Ledger;
  readonly #crash: (process: string) => void;
  readonly #trace: ((who: string, what: string) => void) | undefined;

  constructor(
    weather: Weather,
    chance: Chance,
    ledger: Ledger,
    crash: (process: string) => void,
    trace: ((who: string, what: string) => void) | undefined,
  ) {
    this.#weather = weather;
    this.#chance = chance;
    this.#ledger = ledger;
    this.#crash = crash;
    this.#trace = trace;
  }

  latencyMs(): number {
    return this.#chance.exponential(this.over ? 1 : this.#weather.latency);
  }

  loses(what: Parameters<Faults["loses"]>[0]): boolean {
    const { lose, loseAck } = this.#weather;
    if (this.over || !this.#chance.is(what === "ack" || what === "broadcast" ? loseAck : lose)) return false;
    this.#ledger.count(`lost ${what}`);
    return true;
  }

  staleMs(): number {
    return !this.over && this.#chance.is(0.5) ? this.#weather.stale : 0;
  }

  timerLateMs(): number {
    return this.#chance.int(250);
  }

  onEffect(process: string, effect: string): void {
    this.#trace?.(process, effect);
    if (this.over || process === "client" || !this.#chance.is(this.#weather.crash)) return;
    this.#crash(process);
  }
}

/** Does something again and again while the weather is bad, at random times. */
export function nowAndThen(
  { chance, clock, over }: { chance: Chance; clock: Pick<Clock, "setTimeout">; over: () => boolean },
  meanMs: number,
  act: () => void,
): void {
  if (meanMs === 0) return;
  clock.setTimeout(() => {
    if (over()) return;
    act();
    nowAndThen({ chance, clock, over }, meanMs, act);
  }, chance.exponential(meanMs));
}
