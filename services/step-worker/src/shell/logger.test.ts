import { describe, expect, it } from "vitest";
import { type LoggerOption, withFields } from "./logger.ts";

function memory() {
  const lines: unknown[] = [];
  const at = (level: string) => (message: string, fields?: object) => lines.push([level, message, fields]);
  return { lines, logger: { info: at("info"), warn: at("warn"), error: at("error") } satisfies LoggerOption };
}

describe("a logger with fields", () => {
  it("has them on every line, as they are at that time; the caller's own go first", () => {
    const { lines, logger } = memory();
    let n = 0;
    const log = withFields(logger, () => ({ run: "r", n: ++n }));
    log.info("one");
    log.warn("two", { run: "s", more: true });
    expect(lines).toEqual([
      ["info", "one", { run: "r", n: 1 }],
      ["warn", "two", { run: "s", n: 2, more: true }],
    ]);
  });

  it("keeps an error that is given for fields", () => {
    const { lines, logger } = memory();
    const err = new Error("no");
    withFields(logger, () => ({ run: "r" })).error("broke", err);
    expect(lines).toEqual([["error", "broke", { run: "r", err }]]);
  });

  it("says nothing at debug to a logger that has no such level", () => {
    const { lines, logger } = memory();
    withFields(logger, () => ({})).debug("psst");
    expect(lines).toEqual([]);
  });
});
