import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idGenerator, withIds } from "./id-generator.ts";
import { idsOfRun, spanIdOfAttempt, spanIdOfDecision } from "./ids.ts";

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/);

describe("ids derived from names", () => {
  it("are the same on every machine, in every year", () => {
    expect(idsOfRun("default", "order-1")).toEqual({
      // printf default/order-1 | sha256sum
      traceId: "db8586ca2f46905c906fa2b4b5871d75",
      spanId: "11b36820877b4c0f",
    });
  });

  it("are valid in W3C trace context", () =>
    fc.assert(
      fc.property(name, name, (namespace, run) => {
        const { traceId, spanId } = idsOfRun(namespace, run);
        expect(traceId).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
        expect(spanId).toMatch(/^(?!0+$)[0-9a-f]{16}$/);
      }),
    ));

  it("tell runs, namespaces, decisions, attempts and deliveries apart", () => {
    const ids = [
      idsOfRun("a", "r").spanId,
      idsOfRun("b", "r").spanId,
      idsOfRun("a", "s").spanId,
      spanIdOfDecision("a", "r", 1),
      spanIdOfDecision("a", "r", 2),
      spanIdOfAttempt("a", "r", 1, 1, 1),
      spanIdOfAttempt("a", "r", 2, 1, 1),
      spanIdOfAttempt("a", "r", 1, 2, 1),
      spanIdOfAttempt("a", "r", 1, 1, 2),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("the id generator", () => {
  it("gives the ids that were prescribed, for that span only", () => {
    const ids = { traceId: "1".repeat(32), spanId: "2".repeat(16) };
    expect(withIds(ids, () => [idGenerator.generateSpanId(), idGenerator.generateTraceId()])).toEqual([
      ids.spanId,
      ids.traceId,
    ]);
    expect(idGenerator.generateSpanId()).not.toBe(ids.spanId);
    expect(idGenerator.generateTraceId()).not.toBe(ids.traceId);
  });

  it("forgets them when no span could be started", () => {
    const ids = { traceId: "1".repeat(32), spanId: "2".repeat(16) };
    expect(() =>
      withIds(ids, () => {
        throw new Error("no span");
      }),
    ).toThrow("no span");
    expect(idGenerator.generateSpanId()).not.toBe(ids.spanId);
  });

  it("makes random ones else, without Math.random: that answers from the history inside a workflow", () => {
    const real = Math.random;
    Math.random = () => {
      throw new Error("drawn from the workflow's chance");
    };
    try {
      const ids = Array.from({ length: 1_000 }, () => [idGenerator.generateTraceId(), idGenerator.generateSpanId()]);
      expect(new Set(ids.flat()).size).toBe(2_000);
      for (const [traceId, spanId] of ids) {
        expect(traceId).toMatch(/^[0-9a-f]{32}$/);
        expect(spanId).toMatch(/^[0-9a-f]{16}$/);
      }
    } finally {
      Math.random = real;
    }
  });
});
