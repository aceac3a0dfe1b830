import { describe, expect, it } from "vitest";
import { errorOf, readAck } from "./publisher.ts";

const ack = (text: string) => readAck({ data: Buffer.from(text), string: () => text });

describe("an acknowledgement", () => {
  it.each([
    ["of a message stored", '{"stream":"S","seq":41}', { seq: 41, duplicate: false }],
    ["of a message stored before", '{"stream":"S","seq":41,"duplicate":true}', { seq: 41, duplicate: true }],
    [
      "that refuses",
      '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"S","seq":0}',
      { code: 10071, why: "wrong last sequence: 3" },
    ],
    ["that comes from nobody", "", { code: 503 }],
    ["that is no JSON", "+OK", { code: 503 }],
    ["without a sequence", "{}", { code: 503 }],
  ])("%s", (_sentence, text, answer) => expect(ack(text)).toMatchObject(answer));
});

describe("a refusal", () => {
  it.each([
    [10071, "WRONG_LAST_SEQUENCE", "reload"],
    [10164, "WRONG_LAST_SEQUENCE", "reload"],
    [503, "LOG_UNAVAILABLE", "later"],
    [10077, "LOG_REFUSED", "later"],
    [10054, "LOG_REFUSED", "later"],
  ])("with code %i is %s", (code, ours, retry) => {
    expect(errorOf("a.b", 3, { code, why: "so" })).toMatchObject({ code: ours, retry });
  });
});
