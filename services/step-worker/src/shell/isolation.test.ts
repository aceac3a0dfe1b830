import { describe, expect, it } from "vitest";
import { SceneClock } from "../../test/scene.ts";
import { Isolation, isolationOf } from "./isolation.ts";

const never = new AbortController().signal;

describe("the isolation of a suspect", () => {
  it("keeps all others out while one is alone", async () => {
    const clock = new SceneClock();
    const isolation = new Isolation(clock);
    let opened = 0;
    isolation.whenOpen(() => opened++);
    isolation.enter();
    isolation.enter();
    const asked = isolation.alone(1_000, never);
    expect(isolation.open).toBe(false);
    isolation.leave();
    const alone = await asked;
    expect(alone).toBeDefined();
    expect([isolation.open, opened]).toEqual([false, 0]);
    alone!.end();
    expect([isolation.open, opened]).toEqual([true, 1]);
    alone!.end();
    isolation.leave();
    expect(opened).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it("starts one in company when its patience is over", async () => {
    const clock = new SceneClock();
    const isolation = new Isolation(clock);
    isolation.enter();
    isolation.enter();
    const asked = isolation.alone(1_000, never);
    await clock.pass(999);
    expect(isolation.open).toBe(false);
    await clock.pass(1);
    expect(await asked).toBeUndefined();
    expect(isolation.open).toBe(true);
  });

  it("lets one after the other in", async () => {
    const isolation = new Isolation(new SceneClock());
    const order: string[] = [];
    const enter = async (name: string) => {
      isolation.enter();
      const alone = await isolation.alone(1_000, never);
      order.push(`${name} begins`);
      await Promise.resolve();
      order.push(`${name} ends`);
      alone!.end();
      isolation.leave();
    };
    await Promise.all([enter("a"), enter("b"), enter("c")]);
    expect(order).toEqual(["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]));
    expect(isolation.open).toBe(true);
  });

  it("lets none in alone while another, whose patience is just over, begins", async () => {
    const clock = new SceneClock();
    const isolation = new Isolation(clock);
    for (let i = 0; i < 3; i++) isolation.enter();
    const impatient = isolation.alone(1_000, never);
    const patient = isolation.alone(2_000, never);
    clock.setTimeout(() => isolation.leave(), 1_000);
    await clock.pass(1_000);
    expect(await impatient).toBeUndefined();
    let granted = false;
    void patient.then(() => {
      granted = true;
    });
    await clock.pass(500);
    expect(granted).toBe(false);
    isolation.leave();
    expect(await patient).toBeDefined();
  });

  it("is left where a worker stops", async () => {
    const isolation = new Isolation(new SceneClock());
    const stopping = new AbortController();
    isolation.enter();
    isolation.enter();
    const asked = isolation.alone(1_000, stopping.signal);
    stopping.abort(new Error("stopping"));
    await expect(asked).rejects.toThrow("stopping");
    await expect(isolation.alone(1_000, stopping.signal)).rejects.toThrow("stopping");
    expect(isolation.open).toBe(true);
  });

  it("is one for all workers of a process", () => {
    const clock = new SceneClock();
    expect(isolationOf(clock)).toBe(isolationOf(clock));
    expect(isolationOf(clock)).not.toBe(isolationOf(new SceneClock()));
  });
});
