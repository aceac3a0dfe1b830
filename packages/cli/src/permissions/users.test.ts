import { readdir, readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runCli } from "../program.ts";
import { configOf } from "./config.ts";
import { covers } from "./covers.ts";
import { ROLES } from "./need.ts";
import { roleUser } from "./users.ts";

const NAME = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/).filter((name) => name !== "__proto__");
const NAMESPACE = NAME.filter((name) => !name.startsWith("_"));

describe("a user for a role", () => {
  it.each([
    ["a.b", "u", []],
    ["*", "u", []],
    [">", "u", []],
    ["shop", "u.v", []],
    ["shop", "*", []],
    ["shop", 'u" }', []],
    ["shop", "u", ["*"]],
    ["shop", "u", ["charge.>"]],
    ["shop", "u", [""]],
    ["_INBOX", "u", []],
  ])("a name that would make a permission wider is refused (U1): %s %s %s", (namespace, user, steps) => {
    expect(() => roleUser(namespace, "worker", { user, steps })).toThrow(RangeError);
  });

  it("no two users share replies (U2)", () => {
    fc.assert(
      fc.property(NAMESPACE, NAMESPACE, NAME, NAME, (ns, other, a, b) => {
        fc.pre(ns !== other || a !== b);
        const [one, two] = [roleUser(ns, "client", { user: a }), roleUser(other, "worker", { user: b })];
        for (const allow of one.permissions.subscribe.allow)
          expect(covers(allow, `${two.inboxPrefix}.x.1`), `${allow} ${two.inboxPrefix}`).toBe(false);
      }),
    );
  });

  it("may do nothing in another namespace, whatever the two are called", () => {
    fc.assert(
      fc.property(NAMESPACE, NAMESPACE, (ns, other) => {
        fc.pre(ns !== other);
        for (const role of ROLES)
          for (const theirs of ROLES) {
            const own = roleUser(ns, role);
            for (const need of roleUser(other, theirs).needs) {
              if (!need.probe || need.allow === "$JS.API.INFO") continue;
              const may = own.permissions[need.does].allow.filter((allow) => covers(allow, need.probe!.subject));
              expect(may, `${need.does} ${need.probe.subject}`).toEqual([]);
            }
          }
      }),
      { numRuns: 20 },
    );
  });

  it.each(ROLES)("%s: no permission covers another of its own", (role) => {
    const { publish, subscribe } = roleUser("shop", role, { steps: ["a", "b"] }).permissions;
    for (const { allow } of [publish, subscribe])
      for (const one of allow)
        expect(
          allow.filter((other) => other !== one && covers(other, one)),
          one,
        ).toEqual([]);
  });
});

describe("the files of infra/nats/roles", () => {
  const FOLDER = new URL("../../../../infra/nats/roles/", import.meta.url);

  it("are what the command prints, one for each role", async () => {
    const files = await readdir(FOLDER);
    expect(files.sort()).toEqual(ROLES.map((role) => `${role}.conf`).sort());
    for (const file of files) {
      const text = await readFile(new URL(file, FOLDER), "utf8");
      const command = /^# Written by: stepstream (.*)$/m.exec(text)![1]!;
      expect(command).toContain(`namespace permissions production --role ${file.replace(".conf", "")}`);
      let out = "";
      const sink = {
        write(more: string) {
          out += more;
        },
      };
      const io = {
        in: process.stdin,
        out: sink,
        err: sink,
        env: {},
        cwd: ".",
        signal: AbortSignal.any([]),
        now: Date.now,
      };
      expect(await runCli(command.split(" "), io as never)).toBe(0);
      expect(out).toBe(text);
    }
  });

  it("hold no password", () => {
    const text = configOf([roleUser("shop", "client")], "");
    expect(text.match(/password: (\S+)/)![1]).toBe("$STEPSTREAM_SHOP_CLIENT_PASSWORD");
  });
});

describe("a permission", () => {
  it.each([
    ["a.*", "a.b", true],
    ["a.*", "a.b.c", false],
    ["a.*", "a.>", false],
    ["a.>", "a.b.c", true],
    ["a.>", "a.>", true],
    ["a.>", "a", false],
    ["a.b", "a.b", true],
    ["a.b", "a.*", false],
    ["a.*.c", "a.*.c", true],
  ])("%s covers %s: %s", (allow, subject, answer) => expect(covers(allow, subject)).toBe(answer));
});
