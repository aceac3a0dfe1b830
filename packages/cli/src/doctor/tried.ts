import {
  type ConnectionOptions,
  connect,
  headers,
  type NatsConnection,
  PermissionViolationError,
} from "@nats-io/transport-node";
import type { Need, Probe } from "../permissions/need.ts";

/**
 * Tries what a user may do, in a way that changes nothing.
 *
 * Y1. It is tried on a connection of its own: what is denied there is nothing that another check asked for.
 *
 * Checked elsewhere:
 *   Y1  ../../../../test/e2e/roles.test.ts: nothing was denied to any of them, by the server's account and by their own
 *
 * @returns Which of them the server did not allow.
 */
export async function tryNeeds(like: NatsConnection, needs: readonly Need[]): Promise<(need: Need) => boolean> {
  const nc = await connect({
    ...(like as unknown as { options: ConnectionOptions }).options,
    name: "stepstream doctor",
  });
  try {
    const refused = await probe(nc, needs);
    return ({ does, probe }) => probe !== undefined && refused.has(`${does} ${probe.subject}`);
  } finally {
    await nc.close();
  }
}

/** "_INBOX", or what the connection was given instead. */
export function inboxPrefixOf(nc: NatsConnection): string {
  const { inboxPrefix } = (nc as unknown as { options?: { inboxPrefix?: string } }).options ?? {};
  return inboxPrefix ?? "_INBOX";
}

/** The server says what it does not allow before it answers the ping that follows. */
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
    nc.publish(subject, body, { ...(stored && { headers: elsewhere }), reply: `${inboxPrefixOf(nc)}.doctor.none` });
  await nc.flush();
  for (const subscription of subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
  await nc.flush();
  (statuses as { stop?(): void }).stop?.();
  await Promise.race([watching, new Promise((resolve) => setTimeout(resolve, 50))]);
  return refused;
}
