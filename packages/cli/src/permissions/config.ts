import type { Need } from "./need.ts";
import type { RoleUser } from "./users.ts";

/**
 * Configuration of nats-server: a definition for each user, to be used in a list of users.
 *
 * C1. No password stands in it: nats-server reads each from its environment, and does not start without.
 *
 * Checked elsewhere:
 *   C1  ../../../../test/cli/permissions.test.ts: does not start without the passwords (C1)
 */
export function configOf(users: readonly RoleUser[], command: string): string {
  const names = users.map(({ variable }) => `$${variable}`).join(", ");
  const head = [
    `# Written by: ${command}`,
    "# Include it in the configuration of nats-server, and name the users in an account, or in authorization:",
    "#",
    `#   authorization { users: [ ${names} ] }`,
  ];
  return `${head.join("\n")}\n\n${users.map(definitionOf).join("\n")}`;
}

function definitionOf(one: RoleUser): string {
  const { role, steps, user, variable, passwordVariable, inboxPrefix } = one;
  const what = role === "worker" ? `A worker for ${steps.length > 0 ? steps.join(", ") : "all steps"}` : TITLE[role];
  return `# ${what}. Its processes need NATS_USER=${user}, NATS_PASSWORD
# and NATS_INBOX_PREFIX=${inboxPrefix}
${variable} = {
  user: "${user}"
  password: $${passwordVariable}
  permissions {
    publish {
      allow: [
${lines(one, "publish")}
      ]
    }
    subscribe {
      allow: [
${lines(one, "subscribe")}
      ]
    }
  }
}
`;
}

const TITLE = {
  client: "A client: starts runs, sends them messages, waits for them",
  worker: "A worker",
  coordinator: "A coordinator",
  viewer: "An operator who looks: ls, show, history, watch, queue, dead ls, doctor",
  operator: "An operator: also start, signal, cancel, delete, retry; makes, changes and deletes the namespace",
} as const;

/** Each permission with what does not work without it. */
function lines({ needs, permissions }: RoleUser, does: Need["does"]): string {
  const reasons = (allow: string) => {
    const its = needs.filter((need) => need.does === does && need.allow === allow);
    return [...new Set(its.map(({ why }) => why))].join("; ");
  };
  return permissions[does].allow.map((allow) => `        "${allow}" # without: ${reasons(allow)}`).join("\n");
}
