import { describe, expect, it } from "vitest";
import { UNREADABLE } from "./answers.ts";
import { readAck } from "./publisher.ts";

const ack = (text: string) => readAck({ data: Buffer.from(text), string: () => text });

describe("an acknowledgement", () => {
  it.each([
    ["of a message stored", '{"stream":"S","seq":41}', { seq: 41, duplicate: false }],
    ["of a message stored before", '{"stream":"S","seq":41,"duplicate":true}', { seq: 41, duplicate: true }],
    [
      "that refuses",
      '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"S","seq":0}',
      { code: 10071, httpCode: 400, why: "wrong last sequence: 3" },
    ],
    ["that comes from nobody", "", { code: 0, httpCode: 503 }],
    ["that is no JSON", "+OK", { code: UNREADABLE }],
    ["without a sequence", "{}", { code: UNREADABLE }],
  ])("%s", (_sentence, text, answer) => expect(ack(text)).toMatchObject(answer));
});
