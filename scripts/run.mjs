/**
 * Runs a task of this repository on a machine that has Node.js 18 or newer and npm, and brings the rest itself.
 *
 *   node scripts/run.mjs <task> [arguments]        the same as npm run <task>, pnpm <task>
 *
 * An old Node.js has to read this file to say that it is too old: so nothing here is newer than import(), and the tasks
 * are in tasks.mjs.
 */
if (Number(process.versions.node.split(".")[0]) < 18) {
  console.error(
    "stepstream: the tasks need Node.js 18 or newer, which fetches a newer one if need be; this is " +
      process.versions.node +
      ".",
  );
  process.exit(2);
}
import("./tasks.mjs");
