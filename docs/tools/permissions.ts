import { ROLES, type Role } from "../../packages/cli/src/permissions/need.ts";
import { type RoleUser, roleUser } from "../../packages/cli/src/permissions/users.ts";

const ABOUT: Record<Role, string> = {
  client: "Starts runs, sends them signals, updates and requests to stop, asks them, waits for them.",
  worker: "Takes the commands of its steps. Here: of one step, `charge`. Without `--steps` it has `*` in its place.",
  coordinator: "Decides for all runs of the namespace.",
  viewer: "An operator who looks: `ls`, `show`, `history`, `watch`, `queue`, `dead ls`, `dead show`, `doctor`.",
  operator: "All that clients and viewers do; deletes runs; makes, changes and deletes the namespace.",
};

/** What each role needs on the bus, from the table that `stepstream namespace permissions` prints from. */
export function permissionsPage(): string {
  return [
    "# Permissions",
    "",
    "What the user of each role may do on nats-server, and what does not work without it. Here for the namespace `shop`;",
    "`stepstream namespace permissions <namespace>` prints it for yours. How to set it up, and what it does not prevent:",
    "[permissions](../guides/permissions.md).",
    "",
    ...ROLES.flatMap((role) => sectionOf(roleUser("shop", role, role === "worker" ? { steps: ["charge"] } : {}))),
  ].join("\n");
}

function sectionOf({ role, permissions, needs }: RoleUser): string[] {
  const rows = (["publish", "subscribe"] as const).flatMap((does) =>
    permissions[does].allow.map((allow) => {
      const why = needs.filter((need) => need.does === does && need.allow === allow).map((need) => need.why);
      return `| ${does} | \`${allow}\` | ${[...new Set(why)].join("; ")} |`;
    }),
  );
  return [`## ${role}`, "", ABOUT[role], "", "| | subject | without it |", "|---|---|---|", ...rows, ""];
}
