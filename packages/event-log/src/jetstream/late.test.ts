import { describe, expect, it } from "vitest";
import { LateDeliveries } from "./late.ts";

const ACK_WAIT = 10_000;
/** A pull for `waiting` messages that expired at 2,000; the event loop turns again at `now`. */
function after({ now = 22_000, waiting = 3 } = {}): LateDeliveries {
  const late = new LateDeliveries();
  late.begin(now, ACK_WAIT, waiting, new Map([["old", 2_000]]));
  return late;
}
const read = (late: LateDeliveries, times: number, now = 22_010) => Array.from({ length: times }, () => late.take(now));

describe("what is read after a stall", () => {
  it("has expired: as much as was asked for before", () => expect(read(after(), 4)).toEqual([true, true, true, false]));
  it("less what an old pull says will not come", () => {
    const late = after();
    expect(read(late, 1)).toEqual([true]);
    late.ended("old", 2);
    expect(read(late, 1)).toEqual([false]);
  });
  it("whatever a new pull says", () => {
    const late = after();
    late.ended("new", 2);
    expect(read(late, 4)).toEqual([true, true, true, false]);
  });
  it("has not expired where the stall was shorter than the ack wait and the life of a pull", () =>
    expect(read(after({ now: 11_900 }), 1, 11_900)).toEqual([false]));
  it("nor where nothing was asked for", () => expect(read(after({ waiting: 0 }), 1)).toEqual([false]));
  it("nor after a while", () => expect(read(after(), 2, 24_000)).toEqual([false, false]));
  it("nor on another connection", () => {
    const late = after();
    late.void();
    expect(read(late, 1)).toEqual([false]);
  });
  it("is counted once for each stall", () => {
    const late = after();
    read(late, 2);
    late.begin(22_020, ACK_WAIT, 50, new Map([["new", 24_000]]));
    expect(read(late, 2)).toEqual([true, false]);
  });
});
