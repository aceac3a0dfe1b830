import { client } from "./client.ts";
import { coordinator } from "./coordinator.ts";
import { covers } from "./covers.ts";
import { type Need, Needs, ROLES, type Role, type Scope } from "./need.ts";
import { operator, viewer } from "./people.ts";
import { everyone } from "./shared.ts";
import { worker } from "./worker.ts";

/**
 * What each role does on the bus: the one table from which follow the users' permissions in the configuration of nats-server
 * (config.ts), what `doctor` tries, and the table of the docs.
 *
 * P1. All of it is needed: a role that lacks one permission notices.
 * P2. It is enough: each role can do all of its work.
 *
 * Checked elsewhere:
 *   P1  test/cli/doctor/denied.test.ts: is named, with what to allow
 *   P1  test/e2e/roles.test.ts: is used by the work of its role, or has a reason
 *   P2  test/e2e/roles.test.ts: nothing was denied to any of them
 */
export function needsOf(role: Role, scope: Scope): Need[] {
  const needs = new Needs(role, scope);
  everyone(needs);
  if (role === "client" || role === "operator") client(needs);
  if (role === "worker") worker(needs);
  if (role === "coordinator") coordinator(needs);
  if (role === "viewer" || role === "operator") viewer(needs);
  if (role === "operator") operator(needs);
  return needs.all;
}

/** What other roles may do and this one must not: nothing of it is covered by what it needs. */
export function forbiddenTo(role: Role, scope: Scope): Need[] {
  const own = needsOf(role, scope);
  const mayDo = (other: Need) =>
    own.some(({ does, allow }) => does === other.does && covers(allow, other.probe!.subject));
  const all = ROLES.flatMap((other) => (other === role ? [] : needsOf(other, { ...scope, steps: [] })));
  return all.filter((other) => other.probe && !mayDo(other));
}
