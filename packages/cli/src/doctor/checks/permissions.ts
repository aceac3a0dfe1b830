import { type Need, ROLES, type Role } from "../../permissions/need.ts";
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

  async look({ role, namespace, scope, refused }) {
    const isRefused = await refused();
    const lackedBy = (one: Role) => needsOf(one, scope).filter(isRefused);
    // A user that may do what those who run doctor do, and nothing else, is theirs.
    const [own] = OF_PEOPLE.filter((one) => !role && forbiddenTo(one, scope).every(isRefused)).sort(
      (a, b) => lackedBy(a).length - lackedBy(b).length,
    );
    const roles = role ? [role] : own ? [own] : ROLES;
    const others = role ? forbiddenTo(role, scope) : [];
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
