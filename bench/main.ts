import { parseArgs } from "node:util";
import { measure } from "./src/measure.ts";
import { footprints, surroundings, table, telemetry } from "./src/print.ts";
import { SHAPES, shapeOf } from "./src/shapes.ts";
import { SIDE_NAMES, type SideName } from "./src/side.ts";

const HELP = `Measures the engine beside the bare bus: the same messages, with no engine.

  pnpm bench [options]

Options
  --quick               a first impression, in about a minute
  --duration <seconds>  of each sample; default 3
  --rounds <n>          samples of each side, taken in turns; default 5
  --only <shapes>       of: one, chain, fan; with commas
  --concurrency <n,n>   runs at a time; default 1,300
  --sides <names>       of: engine, bare; metered, sampled, traced (the engine with metrics, with 1 % of traces as well,
                        with all of them); with commas; ratios are to the last one; default engine,bare
  --telemetry           what telemetry costs: --sides metered,sampled,traced,engine --only one,chain
  --profile <folder>    every process writes a CPU profile there
  --json                the figures as JSON
  -h, --help

Docs: docs/benchmarks.md`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    duration: { type: "string" },
    rounds: { type: "string" },
    only: { type: "string" },
    concurrency: { type: "string", default: "1,300" },
    sides: { type: "string" },
    telemetry: { type: "boolean", default: false },
    profile: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const durationS = numberOf("duration", values.duration ?? (values.quick ? "0.8" : "3"), 0.1, 60);
const rounds = numberOf("rounds", values.rounds ?? (values.quick ? "2" : "5"), 1, 50);
const concurrencies = values.concurrency.split(",").map((n) => numberOf("concurrency", n, 1, 2_000));
const only =
  values.only?.split(",") ?? (values.telemetry ? ["one", "chain"] : undefined) ?? SHAPES.map((shape) => shape.name);
for (const name of only)
  if (!SHAPES.some((shape) => shape.name === name))
    fail(`--only takes ${SHAPES.map((s) => s.name).join(", ")}, not "${name}".`);
const shapes = only.map(shapeOf);
const wanted = values.sides ?? (values.telemetry ? "metered,sampled,traced,engine" : "engine,bare");
const sides = wanted.split(",").map((name) => {
  if (!SIDE_NAMES.includes(name as SideName)) fail(`--sides are of ${SIDE_NAMES.join(", ")}, not "${name}".`);
  return name as SideName;
});
if (new Set(sides).size !== sides.length) fail("--sides are different ones.");

const where = await surroundings();
const report = await measure({
  shapes,
  concurrencies,
  rounds,
  durationMs: durationS * 1_000,
  sides,
  profileDir: values.profile,
  say: (line) => console.error(line),
});

if (values.json) console.log(JSON.stringify({ where, rounds, durationS, ...report }, null, 2));
else {
  console.log(`\n${where}`);
  console.log(
    `${rounds} rounds of ${durationS} s for each figure, sides in turns; CPU is that of coordinator + worker + client\n`,
  );
  console.log(table(report));
  console.log(["", ...footprints(report), ...telemetry(report)].join("\n"));
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const n = Number(text);
  if (!(n >= min && n <= max)) fail(`--${name} is a number from ${min} to ${max}, not "${text}".`);
  return n;
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
