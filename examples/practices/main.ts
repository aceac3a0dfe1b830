/** node examples/practices/main.ts <name> …: plays practices, one after the other. See --help. */

import { parseArgs } from "node:util";
import { startNatsServer } from "@stepstream/infra";
import { PRACTICES, type Practice } from "./practices.ts";
import { onStage } from "./stage.ts";

const width = Math.max(...Object.keys(PRACTICES).map((name) => name.length));
const LIST = Object.entries(PRACTICES).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`);
const HELP = `Plays a practice: a few lines of output, from real runs on a nats-server of its own.

  node examples/practices/main.ts <name> [<name> …]
  node examples/practices/main.ts --all

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
const names = values.all ? Object.keys(PRACTICES) : positionals;
if (values.help || names.length === 0) {
  console.log(HELP);
  process.exit(0);
}
const chosen = names.map((name): [string, Practice] => {
  const practice = Object.hasOwn(PRACTICES, name) ? PRACTICES[name] : undefined;
  return practice ? [name, practice] : giveUp(`There is no practice "${name}". The list: --help.`);
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
