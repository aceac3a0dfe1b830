/** `namespace permissions`: what it prints is configuration that nats-server takes, alone and in the files of infra/nats. */
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNatsServer } from "@stepstream/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noGuardedServer } from "../support/guarded.ts";
import { cli } from "./scene.ts";

const INFRA = fileURLToPath(new URL("../../infra/nats/", import.meta.url));
const ROLES = ["CLIENT", "WORKER", "COORDINATOR", "VIEWER", "OPERATOR"];
const PASSWORDS = Object.fromEntries(ROLES.map((role) => [`STEPSTREAM_PRODUCTION_${role}_PASSWORD`, "secret"]));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-permissions-"));
  await cp(INFRA, folder, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Has nats-server read the configuration, and nothing else. */
async function check(file: string, env: Record<string, string>) {
  const { NATS_URL: _, ...own } = process.env;
  const found = await findNatsServer({ env: own, log: () => {} });
  if (found.kind !== "binary") throw new Error("there is no binary");
  const ran = spawnSync(found.path, ["-t", "-c", join(folder, file)], {
    env: { PATH: process.env.PATH, NATS_NAME: "nats-1", NATS_ADMIN_PASSWORD: "a", ...env },
    encoding: "utf8",
  });
  return { code: ran.status, said: ran.stdout + ran.stderr };
}

const run = (args: string) => cli(args, {});

describe("namespace permissions", () => {
  it("prints a user for each role, or for those asked for, and connects to nothing", async () => {
    const { code, out } = await run("namespace permissions shop --steps charge,refund --nats nats://nowhere.invalid");
    expect(code).toBe(0);
    for (const role of ROLES) expect(out).toContain(`password: $STEPSTREAM_SHOP_${role}_PASSWORD\n`);
    const one = await run("namespace permissions shop --role worker --steps charge --name shop-charge --json");
    const { namespace, users } = JSON.parse(one.out);
    expect(namespace).toBe("shop");
    expect(users).toEqual([
      {
        role: "worker",
        steps: ["charge"],
        user: "shop-charge",
        password: "$STEPSTREAM_SHOP_CHARGE_PASSWORD",
        inboxPrefix: "_INBOX.shop.shop-charge",
        permissions: {
          publish: { allow: expect.arrayContaining(["shop.inbox.*.*.worker", "shop.dead.charge.>"]) },
          subscribe: { allow: ["_INBOX.shop.shop-charge.>", "shop.roll-call", "shop.cancel.*"] },
        },
      },
    ]);
    expect((await run("namespace permissions --namespace shop --role viewer")).out).toContain('user: "shop-viewer"\n');
  });

  it.each([
    ["shop --role boss", /Invalid --role "boss"/],
    ["shop --role client --steps charge", /--steps goes with --role worker/],
    ["shop --name one", /--name is for one role/],
    ["shop.x", /Invalid namespace "shop.x"/],
    ["_INBOX", /begins with "_"/],
    ["shop --role worker --steps a.>", /Invalid step "a.>"/],
    ["shop --role worker --name a*", /Invalid user "a\*"/],
    ["shop --namespace other", /namespace "shop" or "other"/],
  ])("%s: is refused", async (args, why) => {
    expect(await run(`namespace permissions ${args}`)).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(why),
    });
  });
});

describe.skipIf(noGuardedServer)("nats-server", () => {
  it.each(["production-cluster.conf", "production-single.conf"])(
    "takes %s, with one user and with one for each role",
    async (file) => {
      expect(await check(file, { STEPSTREAM_NATS_PASSWORD: "secret" })).toMatchObject({ code: 0 });
      const text = await readFile(join(folder, file), "utf8");
      await writeFile(
        join(folder, `roles-${file}`),
        text.replace("include ./users.conf", "include ./users-by-role.conf"),
      );
      expect(await check(`roles-${file}`, PASSWORDS)).toMatchObject({ code: 0 });
    },
  );

  it("does not start without the passwords (C1)", async () => {
    for (const missing of Object.keys(PASSWORDS)) {
      const { [missing]: _, ...others } = PASSWORDS;
      const { code, said } = await check("users-by-role.conf", others);
      expect(code).not.toBe(0);
      expect(said).toContain(missing);
    }
  });

  it("takes what the command prints for several workers, in accounts", async () => {
    const charge = await run("namespace permissions shop --role worker --steps charge --name shop-charge");
    const refund = await run("namespace permissions 7-shops --role worker --steps refund");
    await writeFile(join(folder, "charge.conf"), charge.out);
    await writeFile(join(folder, "refund.conf"), refund.out);
    const accounts = `
include ./charge.conf
include ./refund.conf
jetstream {}
accounts {
  ONE { jetstream: enabled, users: [ $STEPSTREAM_SHOP_CHARGE ] }
  TWO { jetstream: enabled, users: [ $STEPSTREAM_7_SHOPS_WORKER ] }
}`;
    await writeFile(join(folder, "accounts.conf"), accounts);
    const env = { STEPSTREAM_SHOP_CHARGE_PASSWORD: "x", STEPSTREAM_7_SHOPS_WORKER_PASSWORD: "y" };
    expect(await check("accounts.conf", env)).toMatchObject({ code: 0 });
  });

  it("takes what the guide says, and passwords in quotes whatever they begin with", async () => {
    const guide = await readFile(new URL("../../docs/guides/permissions.md", import.meta.url), "utf8");
    for (const [, args, file] of guide.matchAll(/^ +stepstream (namespace permissions .*) > (\S+)$/gm))
      await writeFile(join(folder, file!), (await run(args!)).out);
    const [, accounts] = /```text\n([\s\S]*?)```/.exec(guide)!;
    const store = `jetstream { store_dir: "${join(folder, "js")}" }\n`;
    await writeFile(join(folder, "guide.conf"), store + accounts);
    const names = ["CLIENT", "COORDINATOR", "VIEWER", "OPERATOR", "PAYMENTS", "SHIPPING"];
    const passwords = (password: string) =>
      Object.fromEntries(names.map((name) => [`STEPSTREAM_SHOP_${name}_PASSWORD`, password]));
    expect(await check("guide.conf", passwords("secret"))).toMatchObject({ code: 0 });
    expect(await check("guide.conf", passwords('"7Qh5e#$x"'))).toMatchObject({ code: 0 });
    expect((await check("guide.conf", passwords("7"))).code).not.toBe(0);
  });
});
