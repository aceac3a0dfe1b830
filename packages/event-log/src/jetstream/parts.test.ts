import { ServerTooOldError, Subjects } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { readRef } from "./blobs.ts";
import { checkVersion } from "./ensure.ts";
import { clean } from "./headers.ts";
import { fromUrls, withoutSecrets } from "./link.ts";
import { streamsOf } from "./streams.ts";
import { scheduleLines } from "./timers.ts";

describe("a server's version", () => {
  it.each(["2.12.0", "2.12.0-RC.1", "2.15.1", "3.0.0"])("%s will do", (version) => checkVersion(version));
  it.each(["2.11.9", "1.99.0", "0", ""])("%s is too old", (version) =>
    expect(() => checkVersion(version)).toThrow(ServerTooOldError),
  );
});

describe("a schedule", () => {
  it.each([
    ["is in whole milliseconds, rounded up (T1)", 1_795_390_293_887.2, "2026-11-22T23:31:33.888Z"],
    ["may lie in the past (T3)", -5, "1970-01-01T00:00:00.000Z"],
    ["ends before the server's clock does", Number.MAX_SAFE_INTEGER, "2262-01-01T00:00:00.000Z"],
  ])("%s", (_sentence, atMs, time) =>
    expect(scheduleLines(atMs, "ns.due.0.r.1")).toBe(
      `Nats-Schedule: @at ${time}\r\nNats-Schedule-Target: ns.due.0.r.1\r\n`,
    ),
  );
});

describe("a reference to a large payload", () => {
  const key = `r/${"a1".repeat(32)}`;
  it("is read", () => {
    expect(readRef(`{"v":1,"type":"Ref","key":"${key}","bytes":9,"chunk":4}`)).toMatchObject({ key, bytes: 9 });
  });
  it.each([
    `{"v":1,"type":"Ref","key":"${key}","bytes":0,"chunk":4}`,
    `{"v":1,"type":"Ref","key":"${key}","bytes":9}`,
    `{"v":1,"type":"Ref","key":"*/${"a1".repeat(32)}","bytes":9,"chunk":4}`,
    `{"v":1,"type":"Ref","key":"r.>/${"a1".repeat(32)}","bytes":9,"chunk":4}`,
    '{"v":1,"type":"Ref","key":"r","bytes":9,"chunk":4}',
    '{"v":1,"type":"Ref"',
  ])("is none: %s", (text) => expect(readRef(text)).toBeUndefined());
});

describe("what goes into a header or an error", () => {
  it("cannot begin a header of its own", () => {
    expect(clean("a\r\nNats-Rollup: all")).toBe("a Nats-Rollup: all");
  });
  it.each([
    ["nats://eva:secret@host:4222", "nats://host:4222"],
    ["eva:secret@host, nats://token@other:1", "host, nats://other:1"],
    ["nats://host:4222,host2", "nats://host:4222,host2"],
    ["nats://eva:s@cret@host", "nats://host"],
  ])("%s → %s", (urls, shown) => expect(withoutSecrets(urls)).toBe(shown));
});

describe("who one is, in a URL,", () => {
  it.each([
    ["nats://eva:secret@host:4222", { servers: ["nats://host:4222"], user: "eva", pass: "secret" }],
    ["eva:p%40s:s%2Fs@host", { servers: ["host"], user: "eva", pass: "p@s:s/s" }],
    ["nats://eva:50%@host", { servers: ["nats://host"], user: "eva", pass: "50%" }],
    ["tls://t0ken@a, tls://b", { servers: ["tls://a", "tls://b"], token: "t0ken" }],
    [["a:1", "eva:secret@b:2"], { servers: ["a:1", "b:2"], user: "eva", pass: "secret" }],
    ["nats://[::1]:4222", { servers: ["nats://[::1]:4222"] }],
  ])("%s is told to the server", (urls, options) => expect(fromUrls(urls)).toEqual(options));
});

describe("the streams of a namespace", () => {
  const streams = streamsOf(new Subjects("ns", 16), 3);
  it("take every subject of the contracts, each in one stream", () => {
    const subjects = new Subjects("ns", 16);
    const all = [
      subjects.inboxFrom("client", "r"),
      subjects.journal("r"),
      subjects.attempts("r", 1),
      subjects.parked("r"),
      subjects.command("s", "r", 1),
      subjects.timer("r", 1),
      subjects.due("r", 1),
      subjects.dead("s", "r", 1),
    ];
    for (const subject of all) {
      const taken = streams.filter((one) => one.subjects.some((filter) => subject.startsWith(filter.slice(0, -1))));
      expect(taken.map(({ name }) => name)).toEqual([subjects.streamName(subjects.streamOf(subject))]);
    }
  });
  it("have the copies that were asked for, on disk, and never forget by age", () => {
    for (const one of streams) expect(one).toMatchObject({ num_replicas: 3, storage: "file", max_age: 0 });
  });
});
