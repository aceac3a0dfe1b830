import { MemoryServer } from "@stepstream/event-log/memory";
import { describe, expect, it } from "vitest";
import { DEFAULTS, type Deps } from "./deps.ts";
import { Membership } from "./membership.ts";

const PARTITIONS = 64;
const server = () => new MemoryServer({ partitions: PARTITIONS });

function member(on: MemoryServer, id: string, changes: string[][] = []): Membership {
  const log = on.connect(id);
  const emit = (event: { type: string; peers?: readonly string[] }) =>
    event.type === "peers" && changes.push([...event.peers!]);
  const settings = { ...DEFAULTS, presenceMs: 20 };
  return new Membership(
    { log, clock: log.clock, id, emit, settings, workflows: new Map() } as unknown as Deps,
    () => {},
  );
}

/** On a log in memory all that is said is heard within some macrotasks. */
const heardAll = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

const shares = (members: Membership[]) =>
  members.map((m) => Array.from({ length: PARTITIONS }, (_, n) => n).filter((n) => m.owns(n)));

describe("coordinators that know of each other", () => {
  it("share the partitions: each has one owner, and everybody a fair share", async () => {
    const bus = server();
    const members = ["a", "b", "c"].map((id) => member(bus, id));
    for (const one of members) one.start();
    await heardAll();
    const owned = shares(members);
    expect(owned.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, n) => n));
    for (const share of owned) expect(share.length).toBeGreaterThan(PARTITIONS / 6);
    for (const one of members) one.stop();
  });

  it("move only the share of the one that leaves", async () => {
    const bus = server();
    const members = ["a", "b", "c"].map((id) => member(bus, id));
    for (const one of members) one.start();
    await heardAll();
    const before = shares(members);
    members[2]!.stop();
    await heardAll();
    const after = shares(members.slice(0, 2));
    for (const i of [0, 1]) expect(after[i]).toEqual(expect.arrayContaining(before[i]!));
    expect(after.flat()).toHaveLength(PARTITIONS);
    for (const one of members) one.stop();
  });

  it("take one that has said nothing for three beats for gone", async () => {
    const bus = server();
    const heard: string[][] = [];
    const [alive, dead] = [member(bus, "a", heard), member(bus, "b")];
    alive.start();
    dead.start();
    await heardAll();
    expect(alive.peers).toEqual(["a", "b"]);
    for (const log of bus.logs) if (log.process.name === "b") log.kill();
    while (alive.peers.length > 1) await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual([["a", "b"], ["a"]]);
    alive.stop();
  });
});
