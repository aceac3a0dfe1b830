/** `doctor` for a user that may not do what it should, on a server with permissions. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Need, ROLES, type Role } from "../../../packages/cli/src/permissions/need.ts";
import { roleUser } from "../../../packages/cli/src/permissions/users.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../../support/guarded.ts";
import { doctor, SECONDS_MS } from "./scene.ts";

const NAMESPACE = "shop";
/** The steps that the worker of the tests has a user for. */
const STEPS = ["add"];
const users = ROLES.map((role) => roleUser(NAMESPACE, role, role === "worker" ? { steps: STEPS } : {}));

/** One for each permission that a role needs, as far as doctor can try it. */
const denials = users.flatMap(({ needs, permissions }) =>
  [...new Map(needs.map((need) => [`${need.does} ${need.allow}`, need])).values()].filter(
    ({ does, allow, probe }) => probe && permissions[does].allow.includes(allow),
  ),
);

const user = (name: string, permissions: object) =>
  `{ user: "${name}", password: x, permissions: ${JSON.stringify(permissions)} }`;
const nameOf = (need: Need) => `no-${denials.indexOf(need)}`;
/** With the replies where the user of a role may receive them, whatever else the user may. */
const inbox = (role: Role) => `--inbox-prefix ${users.find((one) => one.role === role)!.inboxPrefix}`;
const steps = (role: Role) => (role === "worker" ? `--steps ${STEPS.join(",")}` : "");
const asRole = (name: string, role: Role, args: string) => doctor(as(name), NAMESPACE, `${args} ${inbox(role)}`);

let server: GuardedServer;
let admin: NatsConnection;
beforeAll(async () => {
  if (noGuardedServer) return;
  const all = [
    '{ user: "admin", password: x }',
    ...denials.map((need) => {
      const { permissions } = users.find(({ role }) => role === need.role)!;
      const { does, allow: lacking } = need;
      const allow = permissions[does].allow.filter((one) => one !== lacking);
      return user(nameOf(need), { ...permissions, [does]: { allow } });
    }),
    ...users.map(({ role, permissions }) => user(role, permissions)),
    user("holey", { publish: { allow: ">", deny: `${NAMESPACE}.journal.>` }, subscribe: { allow: ">" } }),
  ];
  server = await startGuardedServer(`authorization { users: [ ${all.join("\n")} ] }`);
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
      const { code, wrong, tookMs } = await asRole(nameOf(need), role, `--role ${role} ${steps(role)}`);
      expect(code).toBe(1);
      expect(new Set(wrong.map(({ check }) => check))).toEqual(new Set(["permissions"]));
      expect(wrong).toContainEqual(
        expect.objectContaining({
          seen: expect.stringMatching(
            new RegExp(`^${escaped(`${does} to ${allow} is denied`)}.*${escaped(`${role}: ${need.why}`)}`),
          ),
          todo: `Allow the user to ${does} to ${allow}. "stepstream namespace permissions ${NAMESPACE}" prints all that each role needs.`,
        }),
      );
      expect(tookMs).toBeLessThan(SECONDS_MS);
    },
  );
});

describe.skipIf(noGuardedServer)("the permissions that roles need", () => {
  it.each(ROLES)("are enough: doctor --role %s finds nothing", async (role) => {
    const { code, all } = await asRole(role, role, `--role ${role} ${steps(role)}`);
    expect({ code, all }).toMatchObject({ code: 0, all: [{ level: "ok" }] });
  });

  it.each(ROLES)("of %s are found where a user of another role has them", async (role) => {
    for (const other of ROLES.filter((one) => one !== role)) {
      const { code, all, wrong } = await asRole(role, role, `--role ${other} ${steps(other)}`);
      const says = all.filter(({ seen }) => seen.includes(`what no ${other} needs`));
      // An operator may do what a client and a viewer do.
      const isPart = other === "operator" && (role === "client" || role === "viewer");
      expect(
        says.map(({ level }) => level),
        other,
      ).toEqual(isPart ? [] : ["warn"]);
      const hasAll = role === "operator" && (other === "client" || other === "viewer");
      expect(wrong.length > 0, other).toBe(!hasAll);
      expect(code).toBe(hasAll ? 0 : 1);
    }
  });

  it.each(["operator", "viewer"] as const)("of %s are what doctor expects of it, also without --role", async (role) => {
    const { wrong, all } = await asRole(role, role, "--accept durability,coordinators,workers");
    expect(wrong).toEqual([]);
    expect(all).toContainEqual(
      expect.objectContaining({ level: "ok", seen: `this user may do what these do: ${role}` }),
    );
  });

  it("says which permission is missing, and still examines the rest", async () => {
    const blind = denials.find(
      ({ role, allow }) => role === "operator" && allow === `$JS.API.CONSUMER.LIST.${NAMESPACE}_COMMANDS`,
    )!;
    const { code, wrong, all, tookMs } = await asRole(nameOf(blind), "operator", "");
    expect(code).toBe(1);
    const [missing, ...more] = wrong.filter(({ check }) => check === "permissions");
    expect(missing!.seen).toContain(blind.allow);
    expect(more).toEqual([]);
    const unexamined = wrong.filter(({ seen }) => seen.startsWith("could not be examined"));
    expect(unexamined.map(({ check }) => check)).toContain("workers");
    expect(unexamined[0]!.todo).toBe(`Allow the user of this command to publish to ${blind.allow}.`);
    expect(all.filter(({ level }) => level === "ok").map(({ check }) => check)).toEqual(
      expect.arrayContaining(["server", "streams", "storage", "partitions"]),
    );
    expect(tookMs).toBeLessThan(SECONDS_MS);
  });

  it("are those of all roles where one user is for all", async () => {
    const { wrong } = await doctor(as("holey"), NAMESPACE);
    const [missing, ...more] = wrong.filter(({ check }) => check === "permissions");
    expect(missing!.seen).toBe(`publish to ${NAMESPACE}.journal.> is denied (coordinator: no run continues)`);
    expect(more).toEqual([]);
  });
});
