import type { Subscription } from "../port.ts";
import type { Link } from "./link.ts";
import type { Requests } from "./requests.ts";

/** Twice in what the server's clock counts as recent. */
const EVERY_MS = 30_000;

/**
 * Asks for the time of the server that leads the stream, as long as the connection lasts: a process that receives nothing
 * else must not drift away from it, and one that was suspended has missed time that its own clock does not count.
 * The answer is observed where it is read (requests.ts).
 */
export function keepTime(link: Link, requests: Requests, stream: string): Subscription {
  let askAt = link.clock.now() + EVERY_MS;
  const ask = () => {
    askAt = link.clock.now() + EVERY_MS;
    // Without an answer what is known counts on.
    requests.api(`STREAM.INFO.${stream}`).catch(() => {});
  };
  const ticks = link.everyTick((now) => {
    if (now >= askAt && !link.dead()) ask();
  });
  const up = link.onUp(ask);
  return {
    stop() {
      ticks.stop();
      up.stop();
    },
  };
}
