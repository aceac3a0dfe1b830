import type { VirtualClock } from "@stepstream/testing";

/** Lets virtual time pass until the promise has settled. @throws {Error} It has not, within `withinMs` of that time. */
export async function settled<T>(clock: VirtualClock, promise: Promise<T>, withinMs: number): Promise<T> {
  let over = false;
  const mark = () => {
    over = true;
  };
  promise.then(mark, mark);
  if (!(await clock.run(() => over, withinMs))) throw new Error(`It has not settled within ${withinMs} ms.`);
  return promise;
}
