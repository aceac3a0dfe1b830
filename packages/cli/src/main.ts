import { processIo } from "./io.ts";
import { runCli } from "./program.ts";

const code = await runCli(process.argv.slice(2), processIo(process.env));
process.exitCode = code;
// Mostly nothing is left, and the process ends by itself. But a connection to what accepts and never answers stays open in
// nats.js, after the error was printed.
setInterval(() => {
  if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit(code);
}, 100).unref();
