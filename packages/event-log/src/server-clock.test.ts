import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServerClock } from "./server-clock.ts";

describe("the server's time as a process knows it", () => {
  it("is never ahead of the server's (E1), whatever the machine's clock and the network say", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -100_000, max: 100_000 }),
        fc.array(fc.record({ waitMs: fc.nat(90_000), latencyMs: fc.nat(5_000) }), { minLength: 1, maxLength: 50 }),
        (skewMs, arrivals) => {
          let server = 1_000_000_000;
          const clock = new ServerClock({ now: () => server + skewMs });
          for (const { waitMs, latencyMs } of arrivals) {
            const storedAt = server + waitMs;
            server = storedAt + latencyMs;
            clock.observe(storedAt);
            expect(clock.now()).toBeLessThanOrEqual(server);
          }
        },
      ),
    );
  });

  it("is behind by no more than the fastest message of the last minute took (E2)", () => {
    let server = 1_000_000_000;
    const clock = new ServerClock({ now: () => server - 7_000 });
    for (const latencyMs of [900, 12, 400]) {
      const storedAt = server;
      server += latencyMs;
      clock.observe(storedAt);
    }
    expect(server - clock.now()).toBe(12);
  });

  it("follows a server whose clock was set back (E3)", () => {
    let here = 1_000_000_000;
    let aheadMs = 90_000;
    const clock = new ServerClock({ now: () => here });
    clock.observe(here + aheadMs);
    expect(clock.now()).toBe(here + 90_000);
    aheadMs = -5_000;
    for (let i = 0; i < 3; i++) {
      here += 61_000;
      clock.observe(here + aheadMs);
    }
    expect(clock.now()).toBe(here - 5_000);
  });
});
