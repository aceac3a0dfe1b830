/**
 * How a durable consumer counts: what is pending, how the ack floor rises, what is delivered again, and what the removal
 * of messages does to that. One script for a case, with what it must give; the same scripts run on the log in memory and
 * on a real nats-server, so that the simulation cannot be kinder than the server.
 *
 * A script has a line for each request. `take 3 = 1 2 3x2` asks for three messages and gets those of stream sequences
 * 1, 2 and 3, the last for the second time. `await` waits for them. `state = floor 2 pending 1` looks at the consumer.
 *
 * Purges here are of two messages: of a single one, nats-server tells the consumer in two ways at once, and which comes
 * first decides what happens (mostly what happens with two).
 */
import { afterEach, describe, expect, it } from "vitest";
import type { ConsumerState, Given, RawStream, Retention } from "./raw.ts";

const ACK_WAIT_MS = 30_000;
const SHORT_MS = 400;

interface Script {
  name: string;
  retention?: Retention;
  ackWaitMs?: number;
  filter?: string;
  lines: string;
}

const scripts: Script[] = [
  {
    name: "the floor rises over what is acknowledged without a gap, and jumps to the next that is pending",
    lines: `
      publish a a a a a
      take 5 = 1 2 3 4 5
      ack 3
      state = floor 0 pending 4
      ack 1
      state = floor 1 pending 3
      ack 2
      state = floor 3 consumerFloor 3 pending 2
      ack 5
      ack 4
      state = delivered 5 floor 5 consumerFloor 5 pending 0`,
  },
  {
    name: "what is given back comes before what is new, and its first delivery counts for the floor",
    lines: `
      publish a a a
      take 2 = 1 2
      nak 1
      take 2 = 1x2 3
      ack 1
      state = floor 1 consumerFloor 1 consumerSeq 4 pending 2
      ack 2
      state = floor 2 consumerFloor 3 pending 1`,
  },
  {
    name: "a nak with a delay takes back one that was at once",
    lines: `
      publish a a
      take 2 = 1 2
      nak 1
      nak 1 ${SHORT_MS}
      take 2 =
      await 1 ${10 * SHORT_MS} = 1x2`,
  },
  {
    name: "a nak of a message that is done with is ignored",
    lines: `
      publish a a a
      take 3 = 1 2 3
      ack 1
      nak 1
      ack 3
      nak 3
      take 3 =
      state = floor 1 pending 1`,
  },
  {
    name: "what nobody answers comes again, and an answer to the first delivery still counts",
    ackWaitMs: SHORT_MS,
    lines: `
      publish a a
      take 2 = 1 2
      ack 2
      await 1 ${10 * SHORT_MS} = 1x2
      ack 1
      state = floor 2 pending 0
      await 1 ${3 * SHORT_MS} =`,
  },
  {
    name: "a message that is removed by its sequence counts as acknowledged",
    lines: `
      publish a b gone c
      take 4 = 1 2 3 4
      nak 1 ${SHORT_MS}
      nak 2 ${SHORT_MS}
      remove gone
      settle 3
      state = floor 0 consumerFloor 0 pending 3
      ack 4
      state = floor 0 pending 2
      await 2 ${10 * SHORT_MS} = 1x2 2x2
      ack 1
      ack 2
      state = floor 4 consumerFloor 6 pending 0`,
  },
  {
    name: "one that was removed is passed over, delivered before or not",
    lines: `
      publish a gone b gone
      take 2 = 1 2
      nak 2
      remove gone
      settle 1
      take 4 = 3
      ack 1
      ack 3
      state = floor 3 pending 0`,
  },
  {
    name: "a purge of a narrower subject strands the older ones",
    lines: `
      publish a b gone gone c
      take 5 = 1 2 3 4 5
      nak 1 ${SHORT_MS}
      nak 2 ${SHORT_MS}
      purge gone
      state = floor 0 consumerFloor 4 pending 3
      ack 5
      state = floor 5 consumerFloor 5 pending 2
      await 2 ${4 * SHORT_MS} =
      state = floor 5 pending 0
      stored = 1 2 5`,
  },
  {
    name: "the same in a work queue, where they go on looking outstanding",
    retention: "workqueue",
    lines: `
      publish a b gone gone c
      take 5 = 1 2 3 4 5
      nak 1 ${SHORT_MS}
      nak 2 ${SHORT_MS}
      purge gone
      ack 5
      await 2 ${4 * SHORT_MS} =
      stored = 1 2`,
  },
  {
    name: "naks of what lies below the consumer's floor are ignored, before the stream's floor has moved",
    lines: `
      publish a b gone gone
      take 4 = 1 2 3 4
      purge gone
      state = floor 0 consumerFloor 4 pending 2
      nak 1
      take 1 =`,
  },
  {
    name: "a purge strands nothing where the floor is not below the stream's first message",
    lines: `
      publish first a gone gone b
      take 5 = 1 2 3 4 5
      ack 1
      nak 2 ${SHORT_MS}
      purge gone
      state = floor 1 consumerFloor 1 pending 4
      ack 5
      await 1 ${10 * SHORT_MS} = 2x2`,
  },
  {
    name: "a purge makes what is queued for redelivery wait for another ack wait",
    ackWaitMs: 4 * SHORT_MS,
    lines: `
      publish first a gone gone
      take 4 = 1 2 3 4
      ack 1
      nak 2
      purge gone
      take 2 =
      await 1 ${10 * SHORT_MS} = 2x2`,
  },
  {
    name: "a purge of the filter itself leaves nothing pending",
    filter: "a",
    lines: `
      publish a b a a
      take 2 = 1 3
      purge a
      state = delivered 4 floor 4 pending 0
      publish a
      take 2 = 5
      ack 5
      state = floor 5 pending 0`,
  },
  {
    name: "a purge up to a sequence keeps what is pending after it",
    filter: "a",
    lines: `
      publish a a a a
      take 3 = 1 2 3
      purge a 2
      state = floor 2 pending 1
      nak 3
      take 2 = 3x2 4`,
  },
  {
    name: "a purge outside of the filter changes nothing",
    filter: "a",
    lines: `
      publish b a b a
      take 2 = 2 4
      nak 2
      purge b
      state = delivered 4 floor 0 consumerFloor 0 pending 2
      take 2 = 2x2`,
  },
  {
    name: "an acknowledged message of a work queue is gone",
    retention: "workqueue",
    lines: `
      publish a a a
      take 2 = 1 2
      ack 2
      stored = 1 3
      state = floor 0 pending 1
      remove a
      settle 0
      state = floor 2 pending 0
      stored =`,
  },
];

/** Plays one request. @returns what came of it. */
async function play(raw: RawStream, given: Map<number, Given>, request: string): Promise<string> {
  const [word, ...rest] = request.split(/\s+/);
  const numbers = rest.map(Number);
  const one = () => given.get(numbers[0]!) ?? expect.fail(`${request}: was not delivered`);
  const shown = (all: Given[]) => {
    for (const each of all) given.set(each.seq, each);
    return all.map(({ seq, deliveries }) => (deliveries === 1 ? `${seq}` : `${seq}x${deliveries}`)).join(" ");
  };
  switch (word) {
    case "publish":
      for (const subject of rest) await raw.publish(subject);
      return "";
    case "take":
      return shown(await raw.take("c", numbers[0]!));
    case "await":
      return shown(await raw.await("c", numbers[0]!, numbers[1]!));
    case "ack":
      await raw.ack("c", one());
      return "";
    case "nak":
      await raw.nak("c", one(), numbers[1]);
      return "";
    case "purge":
      await raw.purge(rest[0]!, rest[1] ? { upTo: numbers[1]! } : {});
      return "";
    case "remove":
      await raw.remove(rest[0]!);
      return "";
    // The server tells a consumer of a removal a moment after it has answered.
    case "settle":
      await expect.poll(async () => (await raw.state("c")).pending).toBe(numbers[0]);
      return "";
    case "stored":
      return (await raw.stored()).join(" ");
    case "state":
      return words(await raw.state("c"));
    default:
      return expect.fail(`no such request: ${request}`);
  }
}

function words(state: ConsumerState): string {
  return Object.entries(state)
    .map(([name, value]) => `${name} ${value}`)
    .join(" ");
}

export function consumers(name: string, make: (retention: Retention) => Promise<RawStream>): void {
  let raw: RawStream | undefined;
  afterEach(() => raw?.close());

  describe(`${name}: a consumer`, () => {
    it.each(scripts)("$name", async ({ retention = "limits", ackWaitMs = ACK_WAIT_MS, filter = ">", lines }) => {
      raw = await make(retention);
      await raw.consumer("c", filter, ackWaitMs);
      const given = new Map<number, Given>();
      for (const line of lines.trim().split(/\n\s*/)) {
        const [request, wanted] = line.split(/\s*=\s*/) as [string, string?];
        const came = await play(raw, given, request);
        if (wanted === undefined) continue;
        // Of a state, only what the line names.
        const shown =
          request === "state" ? wanted.replace(/(\w+) \d+/g, (_, key) => `${key} ${numberOf(came, key)}`) : came;
        expect(`${request} = ${shown}`).toBe(`${request} = ${wanted}`);
      }
    });
  });
}

function numberOf(state: string, key: string): string {
  return new RegExp(`\\b${key} (\\d+)`).exec(state)?.[1] ?? "?";
}
