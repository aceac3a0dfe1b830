import type { NatsConnection } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { JetStreamDelivery, parseAck, type Source } from "./delivery.ts";

const INFO = { deliveries: 2, seq: 41, consumerSeq: 7, at: 1_795_390_293_887 };

describe("the reply subject of a delivery", () => {
  it.each([
    ["v1", "$JS.ACK.ns_EVENTS.inbox-3.2.41.7.1795390293887641465.0", INFO],
    ["v2, no domain", "$JS.ACK._.ACCHASH.ns_EVENTS.inbox-3.2.41.7.1795390293887641465.0.rnd", INFO],
    ["v2, a domain", "$JS.ACK.hub.ACCHASH.ns_EVENTS.inbox-3.2.41.7.1795390293887641465.0", INFO],
    ["a mapped prefix is none", "ACK.ns_EVENTS.c.2.41.7.1795390293887641465.0", undefined],
    ["an inbox is none", "_INBOX.abc.1", undefined],
    ["too short", "$JS.ACK.ns_EVENTS.c.2.41.7", undefined],
    ["no numbers", "$JS.ACK.ns_EVENTS.c.a.b.c.1795390293887641465.0", undefined],
  ])("%s", (_sentence, reply, info) => expect(parseAck(reply)).toEqual(info));
});

describe("a delivery", () => {
  const begin = () => {
    const said: string[] = [];
    const world = { now: 0, epoch: 0 };
    const nc = { isClosed: () => false, publish: (_to: string, word: string | Uint8Array) => said.push(String(word)) };
    const source: Source = {
      nc: nc as unknown as NatsConnection,
      ackWaitMs: () => 1_000,
      now: () => world.now,
      epoch: () => world.epoch,
    };
    return { said, world, delivery: new JetStreamDelivery(source, "a.b", "$JS.ACK…", INFO, "text", 0, 0) };
  };

  it("is acked or nak'ed once, then silent (D3)", () => {
    const { said, delivery } = begin();
    delivery.working();
    delivery.ack();
    delivery.ack();
    delivery.nak();
    delivery.working();
    expect(said).toEqual(["+WPI", "+ACK"]);
  });

  it("names the delay of a nak in nanoseconds", () => {
    const { said, delivery } = begin();
    delivery.nak(1.5);
    expect(said).toEqual(['-NAK {"delay":2000000}']);
  });

  it("is not nak'ed where it may be in other hands: after a cut (D1)", () => {
    const { said, world, delivery } = begin();
    world.epoch = 1;
    delivery.nak();
    expect(said).toEqual([]);
  });

  it("is not nak'ed where it may be in other hands: after its time (D1)", () => {
    const { said, world, delivery } = begin();
    world.now = 1_000;
    delivery.nak();
    expect(said).toEqual([]);
  });

  it("stays ours for as long as it is said in time to be worked on, and no longer (D1)", () => {
    const { said, world, delivery } = begin();
    for (const now of [900, 1_800, 2_700]) {
      world.now = now;
      delivery.working();
    }
    world.now = 3_699;
    delivery.nak();
    expect(said).toEqual(["+WPI", "+WPI", "+WPI", "-NAK"]);

    const late = begin();
    late.world.now = 1_100;
    late.delivery.working();
    late.delivery.nak();
    expect(late.said).toEqual(["+WPI"]);
  });

  it("is acked whenever its outcome is stored, however late (D2)", () => {
    const { said, world, delivery } = begin();
    world.now = 60_000;
    world.epoch = 3;
    delivery.ack();
    expect(said).toEqual(["+ACK"]);
  });
});
