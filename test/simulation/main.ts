import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Outcome } from "@stepstream/testing";
import { staleIn, takeOut } from "./mutate.ts";
import { type Mutation, mutations } from "./mutations.ts";

/** A rule that is taken out may make a world endless. */
const RULE_SECONDS = 90;
const RULES_AT_ONCE = 2;
const RULE_WORLDS = 400;

const HELP = `Simulates the protocol: the real coordinator and worker on the log in memory, with crashes between any
two effects, lost and late messages, cuts, pauses and stale reads; time and chance come from a seed.

  pnpm simulate [--seeds N] [--seed S] [--runs N] [--without RULE] [--rules] [--trace] [--jobs N]

Options
  --seeds N       how many worlds (default 200)
  --seed S        the first seed (default 1); alone: this world only
  --runs N        runs in each world (default 10)
  --without RULE  take one rule of the protocol out of the code first; then some seed must fail
  --rules         take out each rule in turn, two at a time: a world must notice within ${RULE_SECONDS} s, of
                  ${RULE_WORLDS} from the one that the table names, or of --seeds from --seed
  --trace         with --seed: everything the processes do, a line each
  --jobs N        processes (default: as many as there are cores)
  -h, --help

Rules: ${mutations.map((m) => m.rule).join(", ")}

A failure prints its seed and the shortest history that went wrong. Exit code 1 if anything failed (with --rules: if
a rule could be taken out unnoticed).`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    runs: { type: "string", default: "10" },
    without: { type: "string" },
    rules: { type: "boolean", default: false },
    jobs: { type: "string", default: String(availableParallelism()) },
    trace: { type: "boolean", default: false },
    part: { type: "boolean", default: false },
    "stop-at-first": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const first = Number(values.seed ?? 1);
const seeds = Number(values.seeds ?? (values.seed === undefined ? 200 : 1));
const runs = Number(values.runs);
const jobs = Math.max(1, Math.min(Number(values.jobs), seeds));

if (values.help) {
  console.log(HELP);
} else if (![first, seeds, runs, jobs].every((n) => Number.isInteger(n) && n >= 1)) {
  console.error("--seeds, --seed, --runs and --jobs are whole numbers from 1. See --help.");
  process.exitCode = 2;
} else if (values.part) await part();
else if (values.rules) await allRules();
else await all();

/** One process' share of the seeds, every outcome a line of JSON. */
async function part(): Promise<void> {
  const mutation = mutations.find((m) => m.rule === values.without);
  if (mutation) takeOut(mutation);
  const { simulateWorld } = await import("@stepstream/testing");
  const { model } = await import("./scenario.ts");
  for (let seed = first; seed < first + seeds; seed++) {
    const outcome = await simulateWorld(model, seed, runs, values.trace ? console.error : undefined);
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
    if (values["stop-at-first"] && outcome.faults.length > 0) break;
  }
  process.exit(0);
}

async function all(): Promise<void> {
  if (values.without && !mutations.some((m) => m.rule === values.without)) {
    console.error(`There is no rule "${values.without}". Rules: ${mutations.map((m) => m.rule).join(", ")}`);
    process.exitCode = 2;
    return;
  }
  const startedAt = Date.now();
  const failed: Outcome[] = [];
  const mishaps: Record<string, number> = {};
  let passed = 0;
  let virtualMs = 0;
  await each(values.without, first, seeds, false, (outcome) => {
    if (outcome.faults.length > 0) failed.push(outcome);
    else passed++;
    virtualMs += outcome.virtualMs;
    for (const [what, n] of Object.entries(outcome.mishaps)) mishaps[what] = (mishaps[what] ?? 0) + n;
    if (process.stderr.isTTY)
      process.stderr.write(`\r${passed + failed.length} of ${seeds} worlds, ${failed.length} failed `);
  });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  failed.sort(
    (a, b) => (a.history?.length ?? Number.POSITIVE_INFINITY) - (b.history?.length ?? Number.POSITIVE_INFINITY),
  );
  for (const { seed, faults } of failed.slice(0, 5)) console.log(`seed ${seed}: ${faults[0]}`);
  const worst = failed[0];
  if (worst) {
    console.log(`\nThe shortest history that went wrong (seed ${worst.seed}):\n`);
    for (const fault of worst.faults) console.log(`  ${fault}`);
    console.log(`\n${worst.history ?? "(no run's history is at fault)"}\n`);
    console.log(`Again: pnpm simulate --seed ${worst.seed}${values.without ? ` --without ${values.without}` : ""}`);
  }
  console.log(
    `${seeds} worlds of ${runs} runs, ${hours(virtualMs)} of their time in ${((Date.now() - startedAt) / 1000).toFixed(1)} s: ` +
      `${passed} as promised, ${failed.length} not`,
  );
  console.log(
    `mishaps: ${Object.entries(mishaps)
      .sort()
      .map(([what, n]) => `${n} ${what}`)
      .join(", ")}`,
  );
  if (failed.length > 0) process.exitCode = 1;
}

async function allRules(): Promise<void> {
  const stale = mutations.flatMap(staleIn);
  for (const what of stale) console.log(what);
  if (stale.length > 0) {
    process.exitCode = 1;
    return;
  }
  const begin = Date.now();
  const left = [...mutations];
  const missed: string[] = [];
  const next = async (): Promise<void> => {
    for (let mutation = left.shift(); mutation; mutation = left.shift()) {
      const { rule, why } = mutation;
      const startedAt = Date.now();
      const { caught, tried, ended } = await without(mutation);
      const took = `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
      console.log(`${caught ? "noticed  " : "UNNOTICED"} ${rule} (${took}): ${why}`);
      if (caught) console.log(`          seed ${caught.seed}: ${caught.faults[0]!.split("\n")[0]!.slice(0, 160)}`);
      else {
        console.log(`          not in ${tried} worlds; its process ended with ${ended}`);
        missed.push(rule);
      }
    }
  };
  await Promise.all(Array.from({ length: RULES_AT_ONCE }, next));
  const seconds = ((Date.now() - begin) / 1000).toFixed(1);
  const summary = `${mutations.length} rules in ${seconds} s: ${mutations.length - missed.length} noticed`;
  console.log(missed.length === 0 ? summary : `${summary}, UNNOTICED: ${missed.join(", ")}`);
  if (missed.length > 0) process.exitCode = 1;
}

/** Plays worlds without a rule, in a process that is ended when its time is up, until one notices. */
function without({ rule, seed }: Mutation): Promise<{ caught: Outcome | undefined; tried: number; ended: string }> {
  const [from, count] = values.seed === undefined && values.seeds === undefined ? [seed, RULE_WORLDS] : [first, seeds];
  const shares = ["--seed", from, "--seeds", count, "--runs", runs].map(String);
  const args = [import.meta.filename, "--part", "--stop-at-first", "--without", rule, ...shares];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const limit = setTimeout(() => child.kill("SIGKILL"), RULE_SECONDS * 1_000);
    let printed = "";
    child.stdout.on("data", (chunk) => {
      printed += chunk;
    });
    child.on("close", (code, signal) => {
      clearTimeout(limit);
      const lines = printed.split("\n").slice(0, -1);
      const outcomes: Outcome[] = lines.map((line) => JSON.parse(line));
      const caught = outcomes.find(({ faults }) => faults.length > 0);
      const ended = signal === "SIGKILL" ? `no answer after ${RULE_SECONDS} s` : `exit code ${code}`;
      resolve({ caught, tried: outcomes.length, ended });
    });
  });
}

/** Splits the seeds among processes; each gets a share of its own. */
async function each(
  without: string | undefined,
  from: number,
  count: number,
  stopAtFirst: boolean,
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  const share = Math.ceil(count / jobs);
  const children = Array.from({ length: jobs }, (_, i) => {
    const n = Math.min(share, count - i * share);
    return n <= 0 ? Promise.resolve() : child(without, from + i * share, n, stopAtFirst, onOutcome);
  });
  await Promise.all(children);
}

function child(
  without: string | undefined,
  from: number,
  count: number,
  stopAtFirst: boolean,
  onOutcome: (outcome: Outcome) => void,
): Promise<void> {
  const args = [
    import.meta.filename,
    "--part",
    "--seed",
    String(from),
    "--seeds",
    String(count),
    "--runs",
    String(runs),
  ];
  if (without) args.push("--without", without);
  if (stopAtFirst) args.push("--stop-at-first");
  if (values.trace) args.push("--trace");
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let rest = "";
    process_.stdout.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) onOutcome(JSON.parse(line));
    });
    process_.on("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`A simulating process ended with ${code}.`)),
    );
  });
}

function hours(ms: number): string {
  return ms > 7_200_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${Math.round(ms / 60_000)} min`;
}
