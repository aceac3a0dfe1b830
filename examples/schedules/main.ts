/**
 * node examples/schedules/main.ts [--runs 4]
 *
 * Starts a report by an interval, by cron, by hand, and for times that have been.
 */

import { parseArgs } from "node:util";
import { connect } from "@stepstream/sdk";
import { startStage } from "./stage.ts";
import { tour } from "./tour.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "4" }, help: { type: "boolean", short: "h", default: false } },
});

if (values.help) {
  console.log(`Starts a report by an interval, by cron, by hand, and for times that have been.

  node examples/schedules/main.ts [options]

  --runs <n>       how often the interval comes, each half a second (default 4)
  -h, --help`);
  process.exit(0);
}

const stage = await startStage();
const client = await connect({ nats: stage.nats, namespace: stage.namespace });
try {
  await tour(client, Number(values.runs), (line) => console.log(line));
} finally {
  await client.close();
  await stage.stop();
}
