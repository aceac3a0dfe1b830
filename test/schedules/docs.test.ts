/** docs/schedules.md: its program is run, its error is thrown, and its table of clocks is worked out again. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { nextTimes } from "@stepstream/sdk/schedule";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/nats.ts";

const page = await readFile(new URL("../../docs/schedules.md", import.meta.url), "utf8");
const PROGRAM = new URL(`../.schedules-${process.pid}.ts`, import.meta.url);

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  await rm(PROGRAM, { force: true });
  await server?.stop();
});

it("the program does what it says", async () => {
  let [, program] = /```ts\n([\s\S]*?)```/.exec(page)!;
  for (const [from, to] of [
    ["nats://127.0.0.1:4222", server.url],
    ['namespace: "shop"', `namespace: "docs-${process.pid}"`],
  ] as const) {
    expect(program).toContain(from);
    program = program!.replace(from, to);
  }
  await writeFile(PROGRAM, program!);
  const child = spawn(process.execPath, [PROGRAM.pathname], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) if (lines.push(line) === 2) break;
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(lines).toEqual(["all is well with the day", "10 times to come; goes on"]);
});

it("the error is what a wrong pattern gets", () => {
  const [message] = /^The input of schedule .*$/m.exec(page)!;
  const [, cron] = /at cron: "([^"]+)"/.exec(message)!;
  expect(() => nextTimes({ cron: cron! })).toThrow(message.replace(' "nightly"', ""));
});

describe("when clocks change", () => {
  const rows = [...page.matchAll(/^\| (\w+\/\w+)[^|]* \| `([^`]+)` \| (\d{4}-\d\d-\d\d) \| ([^|]+) \|$/gm)];
  it("has a table", () => expect(rows.length).toBeGreaterThanOrEqual(9));

  it.each(rows.map(([, zone, cron, from, shown]) => [zone!, cron!, from!, shown!]))(
    "%s %s, %s",
    (timezone, cron, from, shown) => {
      const expected = shown.split(", ");
      const times = nextTimes({ cron, timezone }, { after: Date.parse(from) - 1, count: expected.length });
      const format = (part: Intl.DateTimeFormatOptions) =>
        new Intl.DateTimeFormat("en-GB", { timeZone: timezone, ...part });
      const day = format({ day: "2-digit" });
      const clock = format({ hour: "2-digit", minute: "2-digit" });
      const offset = format({ timeZoneName: "longOffset" });
      expect(
        times.map((time, i) => {
          const ahead = / \([^)]+\)$/.test(expected[i]!) ? ` (${offset.format(time).split("GMT")[1]})` : "";
          return `${day.format(time)} ${clock.format(time)}${ahead}`;
        }),
      ).toEqual(expected);
    },
  );
});
