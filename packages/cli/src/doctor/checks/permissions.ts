import {
  type ConnectionOptions,
  connect,
  headers,
  type NatsConnection,
  PermissionViolationError,
} from "@nats-io/transport-node";
import { type Need, type Probe, ROLES, type Role } from "../../permissions/need.ts";
import { forbiddenTo, needsOf } from "../../permissions/table.ts";
import { check, error, type Finding, ok, some, warn } from "../check.ts";

/** Who runs doctor. */
const OF_PEOPLE = ["operator", "viewer"] as const;

interface Facts {
  namespace: string;
  roles: readonly Role[];
  denied: readonly Need[];
  /** With a user of a role of its own: what it may do and its role does not need. */
  excess: readonly Need[];
}

/** Whether the user of this command may do what each role does. Tried in a way that changes nothing. */
export const permissions = check<Facts>({
  name: "permissions",

  async look({ nc, subjects, role, steps, namespace }) {
    const scope = { subjects, inbox: prefixOf(nc), steps };
    const asked = role ? [role] : ROLES;
    const others = role ? forbiddenTo(role, scope) : [];
    const refused = await probeApart(nc, [...asked.flatMap((one) => needsOf(one, scope)), ...others]);
    const isRefused = ({ does, probe }: Need) => probe !== undefined && refused.has(`${does} ${probe.subject}`);
    const lackedBy = (one: Role) => needsOf(one, scope).filter(isRefused);
    // A user that may do what those who run doctor do, and nothing else, is theirs.
    const [own] = OF_PEOPLE.filter((one) => !role && forbiddenTo(one, scope).every(isRefused)).sort(
      (a, b) => lackedBy(a).length - lackedBy(b).length,
    );
    const roles = own ? [own] : asked;
    return { namespace, roles, denied: roles.flatMap(lackedBy), excess: others.filter((need) => !isRefused(need)) };
  },

  judge({ namespace, roles, denied, excess }) {
    const all = `"stepstream namespace permissions ${namespace}" prints all that each role needs.`;
    const findings = [
      ...byPermission(denied).map(([does, allow, needs]): Finding => {
        const lost = needs.map(({ role, why }) => `${role}: ${why}`);
        return error(
          "permissions",
          `${does} to ${allow} is denied (${some(lost)})`,
          `Allow the user to ${does} to ${allow}. ${all}`,
        );
      }),
      ...(excess.length === 0 ? [] : [tooMuch(roles[0]!, excess, all)]),
    ];
    if (findings.length > 0) return findings;
    return [ok("permissions", `this user may do what these do: ${roles.join(", ")}`)];
  },
});

function tooMuch(role: Role, excess: readonly Need[], all: string): Finding {
  const what = byPermission(excess).map(([does, allow]) => `${does} to ${allow}`);
  return warn(
    "permissions",
    `this user may do what no ${role} needs: ${some(what)}`,
    `Give it the permissions of its role alone. ${all}`,
  );
}

function byPermission(needs: readonly Need[]): [does: string, allow: string, needs: Need[]][] {
  const found = new Map<string, Need[]>();
  for (const need of needs) {
    const key = `${need.does} ${need.allow}`;
    found.set(key, [...(found.get(key) ?? []), need]);
  }
  return [...found.values()].map((its) => [its[0]!.does, its[0]!.allow, its]);
}

/** "_INBOX", or what the connection was given instead. */
function prefixOf(nc: NatsConnection): string {
  const { inboxPrefix } = (nc as unknown as { options?: { inboxPrefix?: string } }).options ?? {};
  return inboxPrefix ?? "_INBOX";
}

/** On a connection of its own: what it is denied is nothing that another check asked for. */
async function probeApart(like: NatsConnection, needs: readonly Need[]): Promise<Set<string>> {
  const nc = await connect({
    ...(like as unknown as { options: ConnectionOptions }).options,
    name: "stepstream doctor",
  });
  try {
    return await probe(nc, needs);
  } finally {
    await nc.close();
  }
}

/** @returns Which of them the server did not allow. It says so before it answers the ping that follows. */
async function probe(nc: NatsConnection, needs: readonly Need[]): Promise<Set<string>> {
  const refused = new Set<string>();
  const statuses = nc.status();
  const watching = (async () => {
    for await (const status of statuses)
      if (status.type === "error" && status.error instanceof PermissionViolationError) {
        const { operation, subject } = status.error;
        refused.add(`${operation === "publish" ? "publish" : "subscribe"} ${subject}`);
      }
  })();
  const elsewhere = headers();
  elsewhere.set("Nats-Expected-Stream", "none");
  const probes = (does: Need["does"]) =>
    needs.flatMap((need): Probe[] => (need.does === does && need.probe ? [need.probe] : []));
  const subscriptions = probes("subscribe").map(({ subject }) => nc.subscribe(subject, { callback() {} }));
  for (const { subject, body, stored } of probes("publish"))
    nc.publish(subject, body, { ...(stored && { headers: elsewhere }), reply: `${prefixOf(nc)}.doctor.none` });
  await nc.flush();
  for (const subscription of subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
  await nc.flush();
  (statuses as { stop?(): void }).stop?.();
  await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 50))]);
  return refused;
}
