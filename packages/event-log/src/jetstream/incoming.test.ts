import type { Msg } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { header, headerBlock, statusOf } from "./incoming.ts";

/** A message as the connection hands it over: headers and payload side by side in what came off the wire. */
function wired(block: string, payload: string): Msg {
  const wire = Buffer.from(`MSG a.b 1 ${block}${payload}\r\n`);
  const at = wire.indexOf(payload, wire.indexOf(block) + block.length);
  return {
    subject: "a.b",
    reply: "r.1",
    data: wire.subarray(at, at + payload.length),
    size: () => 3 + 3 + block.length + payload.length,
  } as unknown as Msg;
}

const BLOCK = "NATS/1.0\r\nNats-Sequence: 41\r\nNats-Subject:a.b\r\n\r\n";

describe("the headers of a message", () => {
  it("are read from before its payload (H1)", () => {
    const block = headerBlock(wired(BLOCK, "hello"));
    expect(block).toBe(BLOCK);
    expect(header(block, "Nats-Sequence")).toBe("41");
    expect(header(block, "Nats-Subject")).toBe("a.b");
    expect(header(block, "Nats-Seq")).toBe("");
  });

  it("are asked of nats.js where something else lies before the payload (H1)", () => {
    const headers = Object.assign(new Map([["Nats-Sequence", ["7"]]]), { code: 0, description: "" });
    const msg = { ...wired("x".repeat(BLOCK.length), "hello"), headers } as unknown as Msg;
    expect(header(headerBlock(msg), "Nats-Sequence")).toBe("7");
  });

  it("are nothing where there are none", () => {
    expect(headerBlock(wired("", "hello"))).toBe("");
  });
});

describe("a status", () => {
  it.each([
    ["NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n", { code: 408, why: "Request Timeout" }],
    ["NATS/1.0 404\r\n\r\n", { code: 404, why: "" }],
    ["NATS/1.0 409 Exceeded MaxRequestBatch of 500\r\n\r\n", { code: 409, why: "Exceeded MaxRequestBatch of 500" }],
    [BLOCK, { code: 0, why: "" }],
    ["", { code: 0, why: "" }],
  ])("%j", (block, status) => expect(statusOf(block)).toEqual(status));
});
