import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServerClock } from "./server-clock.ts";

describe("the server's time as a coordinator knows it", () => {
  it("is never ahead of the server's, whatever the machine's clock and the network say", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -100_000, max: 100_000 }),
        fc.array(fc.record({ waitMs: fc.nat(90_000), latencyMs: fc.nat(5_000) }), { minLength: 1, maxLength: 50 }),
        (skewMs, arrivals) => {
          let server = 1_000_000_000;
          const clock = new ServerClock({ now: () => server + skewMs } as never);
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

  it("is behind by no more than the fastest message of the last minute took", () => {
    let server = 1_000_000_000;
    const clock = new ServerClock({ now: () => server - 7_000 } as never);
    for (const latencyMs of [900, 12, 400]) {
      const storedAt = server;
      server += latencyMs;
      clock.observe(storedAt);
    }
    expect(server - clock.now()).toBe(12);
  });
});
