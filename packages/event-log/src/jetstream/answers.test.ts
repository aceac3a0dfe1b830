import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorOfAppend, meaningOf, UNREADABLE } from "./answers.ts";
import { SERVER_ERRORS } from "./server-errors.ts";

const UNAVAILABLE = { code: "LOG_UNAVAILABLE", retry: "later", detail: { outcome: "not stored" } };
const UNKNOWN = { code: "LOG_UNAVAILABLE", retry: "later", detail: { outcome: "unknown" } };
const MOVED = { code: "WRONG_LAST_SEQUENCE", retry: "reload" };
const REFUSED = { code: "LOG_REFUSED", retry: "later" };

describe("an append whose answer", () => {
  it.each([
    ["the fence does not hold", 10071, 400, MOVED],
    ["the fence does not hold, said by a stream with replicas", 10164, 400, MOVED],
    ["nobody listens there", 0, 503, UNAVAILABLE],
    ["an election", 10008, 503, UNAVAILABLE],
    ["JetStream is not on yet", 10039, 503, UNAVAILABLE],
    ["JetStream is not on yet in the server", 10076, 503, UNAVAILABLE],
    ["the fence cannot be checked yet", 10163, 503, UNAVAILABLE],
    ["a queue is full", 10167, 429, UNAVAILABLE],
    ["a code of a newer server, of class 503", 10999, 503, UNAVAILABLE],
    ["the message id is in process", 10158, 409, UNKNOWN],
    ["a replica is not in step", 10063, 503, UNKNOWN],
    ["an answer that cannot be read", UNREADABLE, 0, UNKNOWN],
    ["a limit of the stream", 10077, 503, REFUSED],
    ["a limit of the server", 10023, 503, REFUSED],
    ["a limit of the account", 10002, 400, REFUSED],
    ["a message that is too large", 10054, 400, REFUSED],
    ["a code of a newer server, of class 400", 10998, 400, REFUSED],
  ])('is "%s" with code %i', (why, code, httpCode, error) => {
    expect(errorOfAppend("a.b", 3, { code, httpCode, why })).toMatchObject(error);
  });

  it("is of a stream that is being stopped may be stored by another replica", () => {
    expect(meaningOf({ code: 10077, httpCode: 503, why: "store is closed" })).toBe("unknown");
    expect(meaningOf({ code: 10077, httpCode: 503, why: "maximum bytes exceeded" })).toBe("refused");
  });

  it("is not a definite one is never said to be not stored", () => {
    for (const [code, , meaning] of SERVER_ERRORS) {
      if (meaning !== "unknown") continue;
      const { message } = errorOfAppend("a.b", 3, { code, httpCode: 503, why: "so" });
      expect(message).toContain("Whether it took effect is unknown");
      expect(message).not.toContain("Nothing was written");
    }
  });
});

describe("the table of the server's errors", () => {
  it("has each code once, in order", () => {
    const codes = SERVER_ERRORS.map(([code]) => code);
    expect(codes).toEqual([...new Set(codes)].sort((a, b) => a - b));
  });

  it.each(["unavailable", "unknown", "moved", "absent", "refused"])("is the one that people read: %s", (meaning) => {
    const page = readFileSync(new URL("../../../../docs/server-errors.md", import.meta.url), "utf8");
    const section = page.split("\n## ").find((text) => text.toLowerCase().startsWith(meaning))!;
    const rows = [...section.matchAll(/^\| (\d{5}) \| `(\w+)` \|/gm)].map(([, code, name]) => `${code} ${name}`);
    const known = SERVER_ERRORS.filter(([, , its]) => its === meaning).map(([code, name]) => `${code} ${name}`);
    // Of the many refusals the page has those that come up.
    if (meaning === "refused") expect(known).toEqual(expect.arrayContaining(rows));
    else expect(rows).toEqual(known);
    expect(rows).not.toEqual([]);
  });
});
