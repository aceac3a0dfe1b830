import { type Command, Option } from "commander";
import { examplesOf } from "../examples.ts";
import type { Io } from "../io.ts";

const EXAMPLES = `
Examples:
  $ stepstream namespace create shop --replicas 3 --partitions 16
  $ stepstream namespace create shop --replicas 3 --retain 30d --retain '*/failed=90d' --retain order/completed=1d,1000
  $ stepstream namespace ls
  $ stepstream namespace info shop
  $ stepstream namespace update shop --replicas 3 --placement-tag ssd
  $ stepstream namespace update shop --retain none
  $ stepstream namespace delete shop
  $ stepstream namespace permissions shop --steps charge,refund > shop-users.conf
  $ stepstream namespace permissions shop --role worker --steps charge --name shop-charge
  $ stepstream namespace permissions shop --role client --json | jq '.users[0].permissions'

Without a name it is that of --namespace (STEPSTREAM_NAMESPACE). "create" changes nothing that exists: with the same settings
it succeeds, so that it can be part of every deployment.

A retention rule is <workflow>/<outcome>=<age>,<count>: ended runs are removed when they ended longer ago, or when more than
<count> of that workflow and outcome ended later. * stands for all, the most specific rule counts, and what no rule is for is
kept. Coordinators do it in the background. A run that is removed leaves nothing behind: its id is free.

"permissions" prints configuration of nats-server, and connects to nothing: a user for each role, with what that role needs.
Roles: client, worker, coordinator, viewer (an operator who looks), operator.`;

export interface SettingFlags {
  partitions?: string;
  replicas?: string;
  placementCluster?: string;
  placementTag?: string[];
  retain?: string[];
  archive?: boolean;
  json?: boolean;
}

export interface PermissionFlags {
  role?: string[];
  steps?: string[];
  name?: string;
  json?: boolean;
}

export function define(namespace: Command, io: Io): void {
  namespace.addHelpText("after", EXAMPLES);
  const add = (usage: string, description: string) => {
    const command = namespace.command(usage).description(description);
    return command
      .option("--json", "as JSON")
      .addHelpText("after", examplesOf(EXAMPLES, `namespace ${command.name()}`));
  };
  const actions = () => import("../actions/namespace.ts");

  add("ls", "the namespaces of the server").action(async (_flags: object, command: Command) =>
    (await actions()).ls(command, io),
  );
  withSettings(add("create [name]", "make a namespace, or check that it is there as asked for"))
    .option("--partitions <n>", "bounds how many coordinators share the work; fixed from then on (default: 16)")
    .action(async (name: string | undefined, flags: SettingFlags, command: Command) =>
      (await actions()).create(command, io, name, flags),
    );
  add("info [name]", "its settings and streams").action(
    async (name: string | undefined, flags: { json?: boolean }, command: Command) =>
      (await actions()).info(command, io, name, flags),
  );
  withSettings(add("update [name]", "change its settings; what is stored stays")).action(
    async (name: string | undefined, flags: SettingFlags, command: Command) =>
      (await actions()).update(command, io, name, flags),
  );
  add("permissions [name]", "what nats-server needs to know of its users: one for each role, least privilege")
    .option("--role <role...>", "client, worker, coordinator, viewer, operator (default: all)")
    .option("--steps <step...>", "the steps of the worker (default: all)")
    .option("--name <user>", "the name of the user, for one role (default: <namespace>-<role>)")
    .action(async (name: string | undefined, flags: PermissionFlags, command: Command) =>
      (await import("../actions/permissions.ts")).permissions(command, io, name, flags),
    );
  add("delete <name>", "delete it with all that is stored in it")
    .option("-y, --yes", "do not ask")
    .option("--force", "also while coordinators or workers are up, or runs are not over")
    .action(async (name: string, flags: { yes?: boolean; force?: boolean }, command: Command) =>
      (await actions()).remove(command, io, name, flags),
    );
}

function withSettings(command: Command): Command {
  return command
    .addOption(
      new Option("--replicas <n>", "copies of each stream; 3 in production (default: 1)").choices(["1", "3", "5"]),
    )
    .option("--placement-cluster <name>", "only on servers of this cluster")
    .option("--placement-tag <tag...>", "only on servers with these tags")
    .option("--retain <rule...>", "which ended runs are removed; none: all are kept (default)")
    .option("--archive", "only once a coordinator with --archive <folder> has written them there");
}
