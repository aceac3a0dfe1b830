/** Many rounds, by hand: node test/e2e/kills/main.ts [--rounds 12] [--runs 1000] [--kills 6] */
import { parseArgs } from "node:util";
import { round } from "./round.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "12" },
    runs: { type: "string", default: "1000" },
    kills: { type: "string", default: "6" },
  },
});
let bad = 0;
for (let i = 1; i <= Number(values.rounds); i++) {
  const report = (line: string) => console.log(`round ${i}: ${line}`);
  const size = { runs: Number(values.runs), kills: Number(values.kills) };
  const { standing, left, ...figures } = await round({ ...size, report });
  bad += standing.length + left.length;
  console.log(`round ${i}: ${standing.length} standing, ${left.length} left over, ${JSON.stringify(figures)}`);
  for (const one of [...standing, ...left].slice(0, 5)) console.log(`  ${one}`);
}
process.exitCode = bad === 0 ? 0 : 1;
