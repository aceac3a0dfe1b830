import { Name, Namespace, Subjects } from "@stepstream/contracts";
import { covers } from "./covers.ts";
import type { Need, Role } from "./need.ts";
import { REPLIES } from "./shared.ts";
import { needsOf } from "./table.ts";

/** A user of nats-server, for one role in one namespace. */
export interface RoleUser {
  readonly role: Role;
  /** The steps of a worker. Empty: all. */
  readonly steps: readonly string[];
  readonly user: string;
  /** The name of the definition in the configuration, and of the variable of its password. */
  readonly variable: string;
  readonly passwordVariable: string;
  /** What its processes set as their inbox prefix: NATS_INBOX_PREFIX. */
  readonly inboxPrefix: string;
  readonly needs: readonly Need[];
  readonly permissions: Permissions;
}

/** As nats-server takes them, also in the JWT of a user. */
interface Permissions {
  readonly publish: { readonly allow: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
}

/**
 * A user for a role, with what that role needs and nothing else.
 *
 * U1. No name makes a permission wider than it is for another name: none can hold a dot, a wildcard or a space.
 * U2. No two users share a subject for replies, whatever their namespaces are called.
 *
 * Checked elsewhere:
 *   U1 U2  users.test.ts: a name that would make a permission wider is refused (U1), no two users share replies (U2)
 *
 * @throws {RangeError} A name is not a valid name, or names a subject of nats-server.
 */
export function roleUser(
  namespace: string,
  role: Role,
  { user = `${namespace}-${role}`, steps = [] }: { user?: string; steps?: readonly string[] } = {},
): RoleUser {
  checkNames(namespace, user, steps);
  const inboxPrefix = `${REPLIES}.${namespace}.${user}`;
  // Permissions are for all partitions: any number will do.
  const needs = needsOf(role, { subjects: new Subjects(namespace, 1), inbox: inboxPrefix, steps });
  const allowed = (does: Need["does"]) => {
    const all = [...new Set(needs.filter((need) => need.does === does).map(({ allow }) => allow))];
    return { allow: all.filter((one) => !all.some((other) => other !== one && covers(other, one))) };
  };
  const variable = `STEPSTREAM_${variableOf(user)}`;
  return {
    role,
    steps,
    user,
    variable,
    passwordVariable: `${variable}_PASSWORD`,
    inboxPrefix,
    needs,
    permissions: { publish: allowed("publish"), subscribe: allowed("subscribe") },
  };
}

function variableOf(user: string): string {
  return user.replaceAll("-", "_").toUpperCase();
}

function checkNames(namespace: string, user: string, steps: readonly string[]): void {
  const check = (what: string, schema: typeof Name, text: string) => {
    const fault = schema.safeParse(text).error?.issues[0];
    if (fault) throw new RangeError(`Invalid ${what} "${text}". Use ${fault.message}.`);
  };
  check("namespace", Namespace, namespace);
  check("user", Name, user);
  for (const step of steps) check("step", Name, step);
  if (namespace.startsWith("_"))
    throw new RangeError(
      `Namespace "${namespace}" begins with "_", as subjects for replies do (${REPLIES}.>). Use another.`,
    );
}
