/**
 * Prints how many tests passed and failed, as vitest's JSON reports have it: the last line of .ci/run.
 *
 *   node .ci/count.mjs <exit code of the runs> <report>...
 *
 * A report that is not there counts nothing. A run that failed without a failed test (lint, types, a file that could
 * not be loaded) is told in a line of its own, before.
 */
import { existsSync, readFileSync } from "node:fs";

const [status, ...files] = process.argv.slice(2);
const reports = files.filter((file) => existsSync(file)).map((file) => JSON.parse(readFileSync(file, "utf8")));
const sum = (field) => reports.reduce((total, report) => total + report[field], 0);

const failed = sum("numFailedTests");
const skipped = sum("numPendingTests") + sum("numTodoTests");
if (skipped > 0) console.log(`${skipped} skipped`);
const broken = reports.flatMap(({ testResults }) =>
  testResults.filter(({ status, assertionResults }) => status === "failed" && assertionResults.length === 0),
);
for (const { name, message } of broken) console.log(`${name} could not be run: ${message}`);
if (status !== "0" && failed === 0)
  console.log(`The run failed with exit code ${status}, though no test did; see above.`);
console.log(`${sum("numPassedTests")} passed, ${failed} failed`);
