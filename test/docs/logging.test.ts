import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { told as coordinator } from "../../services/coordinator/src/program.ts";
import { told as worker } from "../../services/step-worker/src/program.ts";

/** What `main.ts` and `packages/program` log themselves. */
const BY_PROGRAM = ["ready info", "listening info", "unfinished error"];

it("docs/logging.md has every event, with its level and who logs it", async () => {
  const page = await readFile(new URL("../../docs/logging.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| (`.+`) \| (\w+) \| (both|coordinator|worker) \|/gm)];
  const documented = rows.flatMap(([, names, level, by]) =>
    [...names!.matchAll(/`([\w-]+)`/g)].flatMap(([, name]) =>
      (by === "both" ? ["coordinator", "worker"] : [by]).map((who) => `${who} ${name} ${level}`),
    ),
  );
  const told = Object.entries({ coordinator, worker }).flatMap(([who, events]) => [
    ...BY_PROGRAM.map((event) => `${who} ${event}`),
    ...Object.entries(events).map(([name, [level]]) => `${who} ${name} ${level}`),
  ]);
  expect(documented.sort()).toEqual(told.sort());
});
