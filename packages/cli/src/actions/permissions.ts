import type { Command } from "commander";
import type { PermissionFlags } from "../commands/namespace.ts";
import { type BusFlags, namespaceOf } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { configOf } from "../permissions/config.ts";
import { ROLES, type Role } from "../permissions/need.ts";
import { type RoleUser, roleUser } from "../permissions/users.ts";
import { printPage } from "../print/json.ts";

/** Prints what nats-server needs to know of the users of a namespace. Connects to nothing. */
export function permissions(command: Command, io: Io, name: string | undefined, flags: PermissionFlags): void {
  const { namespace: said, ...rest } = command.optsWithGlobals<BusFlags>();
  if (name !== undefined && said !== undefined && said !== name)
    throw new CliError(`It is namespace "${name}" or "${said}": leave --namespace out.`, EXIT.usage);
  const namespace = name ?? namespaceOf({ ...rest, ...(said !== undefined && { namespace: said }) }, io);
  const users = usersOf(namespace, flags);
  if (flags.json) printPage(io, { namespace, users: users.map(asJson) });
  else io.out.write(configOf(users, commandOf(namespace, flags)));
}

function usersOf(namespace: string, flags: PermissionFlags): RoleUser[] {
  const roles = split(flags.role);
  for (const role of roles)
    if (!(ROLES as readonly string[]).includes(role))
      throw new CliError(`Invalid --role "${role}". Use ${ROLES.join(", ")}.`, EXIT.usage);
  const chosen = roles.length > 0 ? (roles as Role[]) : ROLES;
  const steps = split(flags.steps);
  if (steps.length > 0 && !chosen.includes("worker"))
    throw new CliError("--steps goes with --role worker.", EXIT.usage);
  if (flags.name !== undefined && chosen.length !== 1)
    throw new CliError("--name is for one role: say which with --role.", EXIT.usage);
  const user = flags.name === undefined ? {} : { user: flags.name };
  try {
    return chosen.map((role) => roleUser(namespace, role, { ...user, ...(role === "worker" && { steps }) }));
  } catch (cause) {
    if (cause instanceof RangeError) throw new CliError(cause.message, EXIT.usage, { cause });
    throw cause;
  }
}

function asJson({ role, steps, user, passwordVariable, inboxPrefix, permissions }: RoleUser) {
  return { role, ...(steps.length > 0 && { steps }), user, password: `$${passwordVariable}`, inboxPrefix, permissions };
}

/** As it can be repeated: a file says where it comes from. */
function commandOf(namespace: string, flags: PermissionFlags): string {
  const words = ["stepstream namespace permissions", namespace];
  if (flags.role) words.push("--role", split(flags.role).join(","));
  if (flags.steps) words.push("--steps", split(flags.steps).join(","));
  if (flags.name !== undefined) words.push("--name", flags.name);
  return words.join(" ");
}

function split(said: readonly string[] = []): string[] {
  return [...new Set(said.flatMap((text) => text.split(",")).filter((text) => text !== ""))];
}
