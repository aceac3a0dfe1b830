/** What is stored and cannot be read: commands pass over it, and say so. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventLog } from "@stepstream/event-log";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Scene, setScene, sum } from "./scene.ts";

let scene: Scene;
let log: EventLog;
let odd: { inbox: number; journal: number };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-unreadable-"));
  scene = await setScene();
  log = await connectEventLog({ nats: scene.server.url, namespace: scene.namespace });
  await (await scene.client.start(sum, [1, 2], { id: "r1" })).result();
  const { subjects } = log;
  // Late, as of somebody who may publish: the run is over.
  odd = {
    inbox: (await log.append(subjects.inboxFrom("client", "r1"), "{")).seq,
    journal: (await log.append(subjects.journal("r1"), '{"v":1,"type":"Nothing of ours"}')).seq,
  };
  await log.append(subjects.parked("r1"), "{");
  await log.append(subjects.inboxFrom("client", "none"), '{"v":1,"type":"RunStarted","workflow":7}');
  await log.append(subjects.dead("-", "r1", 0), "{");
});
afterAll(async () => {
  await log?.close();
  await scene?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("a message that cannot be read", { timeout: 60_000 }, () => {
  it("is shown with its sequence and the reason", async () => {
    const { code, out } = await scene.run("show r1");
    expect(code).toBe(0);
    expect(out).toMatch(/r1 {2}sum@1 {2}completed/);
    expect(out).toContain("2 messages cannot be read");
    for (const [kind, seq] of Object.entries(odd))
      expect(out).toMatch(new RegExp(`#${seq} {2}\\S+\\.${kind}\\.\\d+\\.r1(\\.client)?: .+`));
    const { unreadable } = JSON.parse((await scene.run("show r1 --json")).out);
    expect(unreadable).toEqual(
      Object.entries(odd).map(([kind, seq]) => ({
        seq,
        subject: expect.stringContaining(`.${kind}.`),
        why: expect.stringMatching(/./),
      })),
    );
  });

  it("is in the history", async () => {
    const { out } = await scene.run("history r1");
    for (const seq of Object.values(odd)) expect(out).toMatch(new RegExp(`^ *${seq} .*malformed`, "m"));
  });

  it("is passed over in a replay, which says so", async () => {
    const module = join(import.meta.dirname, "scene.ts");
    const replayed = await scene.run(`replay r1 --workflows ${module}`);
    expect(replayed, replayed.err).toMatchObject({ code: 0 });
    for (const seq of Object.values(odd))
      expect(replayed.err).toMatch(new RegExp(`^passed over message #${seq}: .`, "m"));

    const file = join(folder, "r1.json");
    await writeFile(file, (await scene.run("history r1 --export -")).out);
    const fromFile = await scene.run(`replay --file ${file} --workflows ${module}`);
    expect(fromFile).toMatchObject({ code: 0 });
    for (const seq of Object.values(odd))
      expect(fromFile.err).toMatch(new RegExp(`^passed over message #${seq}: .`, "m"));

    const all = await scene.run(`replay --all --since 1h --workflows ${module} --json`);
    expect(all, all.err).toMatchObject({ code: 0, err: expect.stringContaining("2 messages passed over") });
    expect(JSON.parse(all.out)).toMatchObject({ run: "r1", verdict: "same", skipped: 2 });
  });

  it("is counted in lists, each time", async () => {
    for (const args of ["ls", "ls", "ls --rebuild", "ls --json", "ls --count"]) {
      const { code, err } = await scene.run(args, { env: { XDG_CACHE_HOME: folder } });
      expect(code).toBe(0);
      expect(err, args).toMatch(/1 runs .* · 1 stored messages passed over that cannot be read/);
    }
    const { out } = await scene.run("dead ls");
    expect(out).toMatch(/MALFORMED_MESSAGE/);
  });
});
