/** node examples/demo/main.ts: a pipeline over real data, with failures and a killed worker. See --help. */

import { parseArgs } from "node:util";
import { runDemo } from "./demo.ts";
import { createDisplay, summaryText } from "./show.ts";

const HELP = `Runs a pipeline over three real data sets: validate, transform in chunks, summarise and
audit side by side, save to SQLite. Attempts fail on purpose, one worker is killed; it ends all the same.

  node examples/demo/main.ts [options]

  --rows <n>   at most so many rows of each data set (default 20000: all of them)
  --keep       keep the folder with the database, the chunks and the run's history
  --seed <n>   another seed fails other attempts (default 1)
  --json       the summary as JSON on stdout, everything else on stderr
  -h, --help`;

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "20000" },
    keep: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const rows = Number(values.rows);
const seed = Number(values.seed);
if (!Number.isInteger(rows) || rows < 1 || !Number.isInteger(seed)) {
  console.error("--rows is a whole number from 1, --seed a whole number. See --help.");
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort()));

const display = createDisplay(values.json ? process.stderr : process.stdout);
try {
  const summary = await runDemo({
    rows,
    seed,
    keep: values.keep,
    signal: stop.signal,
    onProgress: display.progress,
    onNews: display.news,
  });
  display.end();
  console.log(values.json ? JSON.stringify(summary) : `\n${summaryText(summary, values.keep)}`);
} catch (error) {
  display.end();
  if (!stop.signal.aborted) throw error;
  console.error("Stopped; nothing is left running.");
  process.exitCode = 130;
}
