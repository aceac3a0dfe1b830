import { headers, type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { check, error, type Finding, ok, some } from "../check.ts";
import { type Need, needsOf } from "../needs.ts";

interface Facts {
  roles: readonly string[];
  denied: readonly Need[];
}

/** Whether the user of this command may do what each role does. Tried in a way that changes nothing. */
export const permissions = check<Facts>({
  name: "permissions",

  async look({ nc, subjects, roles }) {
    const needs = needsOf(subjects, prefixOf(nc)).filter(({ role }) => roles.includes(role));
    const refused = await probe(nc, needs);
    return { roles, denied: needs.filter((need) => refused.has(`${need.does} ${need.subject}`)) };
  },

  judge({ roles, denied }) {
    if (denied.length === 0) return [ok("permissions", `this user may do what these do: ${roles.join(", ")}`)];
    const byPermission = new Map<string, Need[]>();
    for (const need of denied) {
      const key = `${need.does} ${need.allow}`;
      byPermission.set(key, [...(byPermission.get(key) ?? []), need]);
    }
    return [...byPermission.values()].map((needs): Finding => {
      const { does, allow } = needs[0]!;
      const lost = needs.map(({ role, why }) => `${role}: ${why}`);
      return error(
        "permissions",
        `${does} to ${allow} is denied (${some(lost)})`,
        `Allow the user to ${does} to ${allow}.`,
      );
    });
  },
});

/** "_INBOX", or what the connection was given instead. */
function prefixOf(nc: NatsConnection): string {
  const { inboxPrefix } = (nc as unknown as { options?: { inboxPrefix?: string } }).options ?? {};
  return inboxPrefix ?? "_INBOX";
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
  const subscriptions = needs
    .filter(({ does }) => does === "subscribe")
    .map(({ subject }) => nc.subscribe(subject, { callback() {} }));
  for (const { does, subject, body, stored } of needs)
    if (does === "publish")
      nc.publish(subject, body, { ...(stored && { headers: elsewhere }), reply: `${prefixOf(nc)}.doctor.none` });
  await nc.flush();
  for (const subscription of subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
  await nc.flush();
  (statuses as { stop?(): void }).stop?.();
  await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 50))]);
  return refused;
}
