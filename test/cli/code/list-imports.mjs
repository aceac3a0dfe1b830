// Writes to the file that LIST_IMPORTS names: the process's CPU time in milliseconds, and the URLs of what it has loaded.
import { writeFileSync } from "node:fs";
import { registerHooks } from "node:module";

const began = process.cpuUsage();
const loaded = [];
registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
process.on("exit", () => {
  const { user, system } = process.cpuUsage(began);
  writeFileSync(process.env.LIST_IMPORTS, [Math.round((user + system) / 1_000), ...loaded].join("\n"));
});
