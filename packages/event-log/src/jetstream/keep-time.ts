import type { Subscription } from "../port.ts";
import type { Link } from "./link.ts";
import { isFault, type Requests } from "./requests.ts";

/** Twice in what the server's clock counts as recent. */
const EVERY_MS = 30_000;

/**
 * Asks for the time of the server that leads EVENTS, now and as long as the connection lasts. In a cluster it is that server's
 * time that counts: it stores when a step was scheduled, and by that timers and time-outs are measured. A process that
 * receives nothing must not drift away from it, and one that was suspended has missed time that its own clock does not count.
 */
export async function keepTime(link: Link, requests: Requests, events: string): Promise<Subscription> {
  const { clock, serverClock } = link;
  let askAt = 0;
  async function ask(): Promise<void> {
    askAt = clock.now() + EVERY_MS;
    try {
      const info = await requests.api<{ ts?: string }>(`STREAM.INFO.${events}`);
      const at = isFault(info) ? Number.NaN : Date.parse(info.ts ?? "");
      if (!Number.isNaN(at)) serverClock.observe(at);
    } catch {
      // Without an answer what is known counts on.
    }
  }
  await ask();
  const ticks = link.everyTick((now) => {
    if (now >= askAt && !link.dead()) void ask();
  });
  const up = link.onUp(() => void ask());
  return {
    stop() {
      ticks.stop();
      up.stop();
    },
  };
}
