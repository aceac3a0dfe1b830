/**
 * node examples/fix-and-retry/main.ts [--attempts 4]
 *
 * Repairs a small project until it passes its gates, or says what is still wrong with it.
 */

import { parseArgs } from "node:util";
import { connect, ValidationError } from "@stepstream/sdk";
import { startWorkbench } from "./workbench.ts";
import { fixAndRetry } from "./workflow.ts";

const { values } = parseArgs({
  options: { attempts: { type: "string", default: "4" }, help: { type: "boolean", short: "h", default: false } },
});

if (values.help) {
  console.log(`Repairs a small project until it passes its gates.

  node examples/fix-and-retry/main.ts [options]

  --attempts <n>   checks in all, the first included (default 4: three things are wrong; 2 shows how it gives up)
  -h, --help`);
  process.exit(0);
}

const bench = await startWorkbench();
const client = await connect({ nats: bench.nats, namespace: bench.namespace });
try {
  const run = await client.start(fixAndRetry, { folder: bench.folder, attempts: Number(values.attempts) });
  const { gates, fixes } = await run.result();
  for (const { gate, what, file } of fixes) console.log(`fixed    ${gate.padEnd(11)} ${file}: ${what}`);
  for (const { gate, status } of gates) console.log(`${status.padEnd(8)} ${gate}`);
} catch (error) {
  if (!(error instanceof ValidationError)) throw error;
  console.log(error.message);
  console.log(`--- stdout\n${error.stdout.trim()}\n--- stderr\n${error.stderr.trim()}`);
  process.exitCode = 1;
} finally {
  await client.close();
  await bench.stop();
}
