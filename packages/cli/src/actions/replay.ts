import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Command } from "commander";
import type { Flags } from "../commands/replay.ts";
import { withBus } from "../connection.ts";
import { CliError, EXIT, Exit, type ExitCode } from "../exit.ts";
import type { Io } from "../io.ts";
import { loadWorkflows } from "../modules.ts";
import { replayMany } from "../replay/many.ts";
import { replayOne } from "../replay/one.ts";
import { fromBus, fromFile, workflowOf } from "../replay/recorded.ts";
import { timeOf } from "../time-option.ts";

export async function replay(command: Command, io: Io, run: string | undefined, flags: Flags): Promise<void> {
  const sources = [run !== undefined, flags.file !== undefined, flags.all === true].filter(Boolean).length;
  if (sources !== 1) throw new CliError("Say one of: a run, --file, --all.", EXIT.usage);
  if (flags.inspect) return inspected(io, flags.inspect);
  const workflows = await loadWorkflows(flags.workflows, io.cwd);
  const one = async (recorded: Awaited<ReturnType<typeof fromBus>>) => {
    const name = workflowOf(recorded);
    const workflow = workflows.get(name);
    for (const { seq, why } of recorded.skipped) io.err.write(`passed over message #${seq}: ${why}\n`);
    if (workflow) return replayOne(workflow, recorded, io, flags);
    const known = [...workflows.keys()].filter((key) => !key.startsWith("_")).join(", ");
    throw new CliError(`Run ${recorded.run} is of ${name}; these modules have ${known}.`, EXIT.usage);
  };
  if (flags.file) {
    for (const file of flags.file) await one(await fromFile(file, io.cwd));
    return;
  }
  await withBus(command, io, async (bus) => {
    if (run !== undefined) return one(await fromBus(bus.log, run));
    const since = flags.since === undefined ? undefined : timeOf("--since", flags.since, io.now());
    return replayMany(workflows, bus, io, { ...flags, since });
  });
}

/** The same command once more, in a Node.js that waits for a debugger. */
async function inspected(io: Io, where: true | string): Promise<never> {
  const args = process.argv.slice(1);
  const at = args.findIndex((arg) => arg === "--inspect" || arg.startsWith("--inspect="));
  const rest = args.toSpliced(at, args[at] === "--inspect" && where !== true ? 2 : 1);
  io.err.write("waiting for a debugger: chrome://inspect, or attach your editor\n");
  const brk = where === true ? "--inspect-brk" : `--inspect-brk=${where}`;
  const child = spawn(process.execPath, [...process.execArgv, brk, ...rest], { stdio: "inherit" });
  const stop = () => void child.kill("SIGTERM");
  io.signal.addEventListener("abort", stop);
  const [code] = await once(child, "exit");
  throw new Exit((code ?? EXIT.interrupted) as ExitCode);
}
