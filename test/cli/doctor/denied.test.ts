/** `doctor` for a user that may not do what it should, on a server with permissions. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Subjects } from "@stepstream/contracts";
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { connect as connectClient } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Need, needsOf, ROLES } from "../../../packages/cli/src/doctor/needs.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../../support/guarded.ts";
import { add, sum } from "../scene.ts";
import { doctor, SECONDS_MS } from "./scene.ts";

const NAMESPACE = "shop";
const needs = needsOf(new Subjects(NAMESPACE, 4), "_INBOX");

/** One for each permission that a role needs. */
const denials = [...new Map(needs.map((need) => [`${need.role} ${need.does} ${need.allow}`, need])).values()];

interface Permissions {
  publish: object;
  subscribe: object;
}

const user = (name: string, { publish, subscribe }: Partial<Permissions>) =>
  `{ user: "${name}", password: x, permissions: { publish: ${JSON.stringify(publish ?? { allow: ">" })}, subscribe: ${JSON.stringify(subscribe ?? { allow: ">" })} } }`;
const nameOf = (need: Need) => `no-${denials.indexOf(need)}`;
/** Of a role: what it needs, and nothing more. */
function least(role: string): string {
  const its = needs.filter((need) => need.role === role);
  const of = (does: string) => ({
    allow: [...new Set(its.filter((need) => need.does === does).map(({ allow }) => allow))],
  });
  return user(role, { publish: of("publish"), subscribe: of("subscribe") });
}

let server: GuardedServer;
let admin: NatsConnection;
beforeAll(async () => {
  if (noGuardedServer) return;
  const users = [
    '{ user: "admin", password: x }',
    ...denials.map((need) => {
      const { does, allow } = need;
      return user(nameOf(need), { [does]: { allow: ">", deny: [allow] } });
    }),
    ...ROLES.map(least),
  ];
  server = await startGuardedServer(`authorization { users: [ ${users.join("\n")} ] }`);
  admin = await connect({ servers: server.address, user: "admin", pass: "x" });
  await (await connectEventLog({ nats: admin, namespace: NAMESPACE, partitions: 4 })).close();
});
afterAll(async () => {
  await admin?.close();
  await server?.stop();
});

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

const as = (name: string) => `nats://${name}:x@${server.address}`;

describe.skipIf(noGuardedServer)("a permission that a role lacks", () => {
  it.each(denials.map((need) => [need.role, need.does, need.allow, need] as const))(
    "%s, %s %s: is named, with what to allow",
    async (role, does, allow, need) => {
      const { code, wrong, tookMs } = await doctor(as(nameOf(need)), NAMESPACE, `--role ${role}`);
      expect(code).toBe(1);
      expect(new Set(wrong.map(({ check }) => check))).toEqual(new Set(["permissions"]));
      expect(wrong).toContainEqual(
        expect.objectContaining({
          seen: expect.stringMatching(
            new RegExp(`^${escaped(`${does} to ${allow} is denied`)}.*${escaped(`${role}: ${need.why}`)}`),
          ),
          todo: `Allow the user to ${does} to ${allow}.`,
        }),
      );
      expect(tookMs).toBeLessThan(SECONDS_MS);
    },
  );
});

describe.skipIf(noGuardedServer)("the permissions that roles need", () => {
  it.each(ROLES)("are enough: doctor --role %s finds nothing", async (role) => {
    expect(await doctor(as(role), NAMESPACE, `--role ${role}`)).toMatchObject({ code: 0, wrong: [] });
  });

  it("let a client, a worker and a coordinator do their work, each with its own user", async () => {
    const coordinator = await createCoordinator({
      nats: as("coordinator"),
      namespace: NAMESPACE,
      workflows: [sum],
    }).start();
    const worker = await createWorker({ nats: as("worker"), namespace: NAMESPACE })
      .handle(add, ({ a, b }) => a + b)
      .start();
    const client = await connectClient({ nats: as("client"), namespace: NAMESPACE });
    const run = await client.start(sum, [1, 2, 3]);
    expect(await run.result()).toBe(6);
    const { wrong } = await doctor(as("operator"), NAMESPACE, "--accept durability permissions");
    expect(wrong).toEqual([]);
    await client.close();
    await worker.stop();
    await coordinator.stop();
  });

  it("says which permission is missing, and still examines the rest", async () => {
    const blind = denials.find(({ allow }) => allow === `$JS.API.CONSUMER.LIST.${NAMESPACE}_COMMANDS`)!;
    const { code, wrong, all, tookMs } = await doctor(as(nameOf(blind)), NAMESPACE);
    expect(code).toBe(1);
    expect(wrong.find(({ check }) => check === "permissions")!.seen).toContain(blind.allow);
    const unexamined = wrong.filter(({ seen }) => seen.startsWith("could not be examined"));
    expect(unexamined.map(({ check }) => check)).toContain("workers");
    expect(unexamined[0]!.todo).toBe(`Allow the user of this command to publish to ${blind.allow}.`);
    expect(all.filter(({ level }) => level === "ok").map(({ check }) => check)).toEqual(
      expect.arrayContaining(["server", "streams", "storage", "partitions"]),
    );
    expect(tookMs).toBeLessThan(SECONDS_MS);
  });
});
