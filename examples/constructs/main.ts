/** node examples/constructs/main.ts <name> …: plays constructs, one after the other. See --help. */

import { parseArgs } from "node:util";
import { startNatsServer } from "@stepstream/infra";
import { onStage } from "../practices/stage.ts";
import { CONSTRUCTS, type Construct } from "./constructs.ts";

const width = Math.max(...Object.keys(CONSTRUCTS).map((name) => name.length));
const LIST = Object.entries(CONSTRUCTS).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
const HELP = `Plays what workflows are made of: a few lines of output, from real runs on a nats-server of its own.

  node examples/constructs/main.ts <name> [<name> …]
  node examples/constructs/main.ts --all

Each is the file of the same name in this folder.

${LIST.join("\n")}`;

function giveUp(why: string): never {
  console.error(why);
  process.exit(2);
}

function readArgs() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { all: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
    });
  } catch (error) {
    return giveUp(`${(error as Error).message}\nSee --help.`);
  }
}

const { values, positionals } = readArgs();
const names = values.all ? Object.keys(CONSTRUCTS) : positionals;
if (values.help || names.length === 0) {
  console.log(HELP);
  process.exit(0);
}
const chosen = names.map((name): [string, Construct] => {
  const construct = Object.hasOwn(CONSTRUCTS, name) ? CONSTRUCTS[name] : undefined;
  return construct ? [name, construct] : giveUp(`There is no construct "${name}". The list: --help.`);
});

const server = await startNatsServer();
try {
  for (const [name, { about, play }] of chosen) {
    console.log(`${name}: ${about}`);
    await onStage(server.url, play, (line) => console.log(`  ${line}`));
  }
} finally {
  await server.stop();
}
