/** The tasks of run.mjs: what is missing (a newer Node.js, pnpm, the packages, nats-server) is brought first, see bring.mjs. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { bringNode, bringPackages, bringServer, environment, isNodeNewEnough, ROOT } from "./bring.mjs";
import { runChild, seconds, tell } from "./child.mjs";

const bin = {
  knip: join(ROOT, "node_modules", "knip", "bin", "knip.js"),
  biome: join(ROOT, "node_modules", "@biomejs", "biome", "bin", "biome"),
  tsc: join(ROOT, "node_modules", "typescript", "bin", "tsc"),
  vitest: join(ROOT, "node_modules", "vitest", "vitest.mjs"),
  vitepress: join(ROOT, "docs", "node_modules", "vitepress", "bin", "vitepress.js"),
};

/** What to do about what knip lists. */
const UNUSED =
  "Nothing uses these: remove the file or the dependency, or the word export. List a dependency that is not listed. A file " +
  "that is started by its path is an entry in knip.jsonc; an exception there needs its reason.";

/**
 * The stages of `verify`: the name of each, what Node.js runs, and what to do if it fails, if it does not say that. Those
 * of one group run side by side.
 *
 * @type {[name: string, args: string[], advice?: string][][]}
 */
const STAGES = [
  [
    ["lint", [bin.biome, "check"]],
    ["types", [bin.tsc, "-p", "tsconfig.json"]],
    ["docs", ["docs/tools/main.ts", "--check"]],
    ["imports", ["scripts/imports.mjs"]],
    ["unused", [bin.knip], UNUSED],
  ],
  // Not beside lint: while it loads its configuration, a bundle of that is among the sources.
  [["site", [bin.vitepress, ...siteArguments(["--build"])]]],
  [["tests", [bin.vitest, "run", "--project", "unit", "--project", "bus", ...report()]]],
  [["simulation", ["test/simulation/main.ts", "--seeds", "200"]]],
  [["planted faults", ["test/simulation/main.ts", "--rules"]]],
];

/** @type {Record<string, { help: string, run: (args: string[]) => Promise<number> }>} */
const TASKS = {
  demo: { help: "runs examples/demo", run: (args) => node(["examples/demo/main.ts", ...args]) },
  test: {
    help: "the same as verify; with arguments: vitest run <arguments>, and nothing else",
    run: (args) => (args.length > 0 ? node([bin.vitest, "run", ...args, ...report()]) : verify()),
  },
  verify: {
    help: "lint, types, docs, site, imports, unused, tests, simulation, planted faults: CI without the slow tests",
    run: verify,
  },
  docs: {
    help: "writes docs/reference from the code; --check: says what is stale",
    run: (args) => node(["docs/tools/main.ts", ...args]),
  },
  site: {
    help: "serves docs/ as a site and prints its URL; --build: writes it into docs/.vitepress/dist and checks its links",
    run: (args) => node([bin.vitepress, ...siteArguments(args)]),
  },
  bench: { help: "runs the benchmarks", run: (args) => node(["bench/main.ts", ...args]) },
  simulate: {
    help: "runs the simulation: --seeds <n>, --seed <n>",
    run: (args) => node(["test/simulation/main.ts", ...args]),
  },
  pack: {
    help: "compiles and packs all packages into dist/packages; --out <folder>",
    run: (args) => node(["scripts/pack/main.ts", ...args]),
  },
  setup: { help: "brings what the other tasks need, and ends", run: async () => 0 },
  exec: { help: "-- <command> runs a command where all of that is at hand", run: exec },
};

const [task, ...rest] = process.argv.slice(2);
const args = rest[0] === "--" ? rest.slice(1) : rest;

try {
  process.exitCode = await main();
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

async function main() {
  if (task === undefined || task === "--help" || task === "-h" || task === "help") {
    console.log(help());
    return task === undefined ? 2 : 0;
  }
  if (!Object.hasOwn(TASKS, task)) {
    console.error(`There is no task "${task}".\n\n${help()}`);
    return 2;
  }
  if (!isNodeNewEnough(process.versions.node)) {
    const path = await bringNode();
    return runChild(path, [join(ROOT, "scripts", "run.mjs"), ...process.argv.slice(2)], {
      env: environment({ firstOnPath: [dirname(path)] }),
    });
  }
  await bringPackages();
  server = await bringServer();
  return TASKS[task].run(args);
}

/** What `infra/src/main.ts find` printed. @type {{ kind: string, path?: string } | undefined} */
var server;

/** @param {string[]} args @param {(text: string) => unknown} [hear] - See {@link runChild}. */
async function node(args, hear = undefined) {
  if (args[0].endsWith(".ts") && !existsSync(join(ROOT, args[0]))) {
    tell(`${args[0]} is not in this checkout, so there is nothing to run.`);
    return 1;
  }
  return runChild(process.execPath, args, { env: environment(), cwd: ROOT }, hear);
}

/** Runs every stage, also after one has failed, so that one run tells all. @returns The first exit code that is not 0. */
async function verify() {
  const results = [];
  for (const group of STAGES) {
    const ended = await Promise.all(group.map(([name, args, advice]) => stage(name, args, advice, group.length > 1)));
    for (const { code } of ended) if (code > 128) return code; // ended by a signal: so do we
    results.push(...ended);
  }
  tell(results.map(({ name, code, took }) => `${name} ${code === 0 ? "passed" : "FAILED"} (${took})`).join(", "));
  return results.find(({ code }) => code !== 0)?.code ?? 0;
}

/**
 * @param {string} name
 * @param {string[]} args
 * @param {string | undefined} advice - Printed if it fails.
 * @param {boolean} beside - Others run beside it, so what it writes is shown at its end.
 */
async function stage(name, args, advice, beside) {
  const begin = Date.now();
  /** @type {string[]} */
  const heard = [];
  tell(`${name}: ${shown(args)}`);
  const code = await node(args, beside ? (text) => heard.push(text) : undefined);
  process.stdout.write(heard.join(""));
  if (code !== 0 && advice) tell(`${name}: ${advice}`);
  tell(`${name}: ${code === 0 ? "passed" : `FAILED with exit code ${code}`} after ${seconds(begin)}`);
  return { name, code, took: seconds(begin) };
}

/** @param {string[]} command */
async function exec(command) {
  if (command.length === 0) throw new Error("Say what to run: node scripts/run.mjs exec -- <command>.");
  const firstOnPath = server?.path && server.path !== "nats-server" ? [dirname(server.path)] : [];
  return runChild(command[0], command.slice(1), {
    env: environment({ firstOnPath }),
    shell: process.platform === "win32",
  });
}

/** Other arguments are VitePress's, such as `--port <n>` and `--base /docs/`. @param {string[]} args */
function siteArguments(args) {
  return [args.includes("--build") ? "build" : "dev", "docs", ...args.filter((arg) => arg !== "--build")];
}

/** `STEPSTREAM_TEST_REPORT=<file>` has vitest write its counts there, as JSON, beside what it prints. */
function report() {
  const file = process.env.STEPSTREAM_TEST_REPORT;
  return file ? ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`] : [];
}

/** @param {string[]} args */
function shown(args) {
  return ["node", ...args].map((arg) => arg.replace(ROOT, "").replace(/^[\\/]/, "")).join(" ");
}

function help() {
  const width = Math.max(...Object.keys(TASKS).map((name) => name.length));
  return [
    "usage: npm run <task> [-- arguments], or node scripts/run.mjs <task> [arguments]",
    "",
    ...Object.entries(TASKS).map(([name, { help }]) => `  ${name.padEnd(width)}  ${help}`),
    "",
    "STEPSTREAM_CACHE is the folder for what is fetched (default: that of your system for caches).",
    "NATS_URL names a nats-server to use; else one is found or fetched.",
  ].join("\n");
}
