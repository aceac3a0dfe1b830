import { spawn } from "node:child_process";
import { once } from "node:events";
import type { RunState } from "@stepstream/sdk";
import { type Command, Option } from "commander";
import { withBus } from "../connection.ts";
import { CliError, EXIT, Exit, type ExitCode } from "../errors.ts";
import type { Io } from "../io.ts";
import { loadWorkflows } from "../modules.ts";
import { replayMany } from "../replay/many.ts";
import { replayOne } from "../replay/one.ts";
import { fromBus, fromFile, workflowOf } from "../replay/recorded.ts";
import { timeOf } from "../time-option.ts";

const EXAMPLES = `
Examples:
  $ stepstream replay order-1 --workflows ./src/workflows.ts           does the code fit, and what does it wait for?
  $ stepstream replay order-1 --workflows ./src/workflows.ts --step    message by message, with the lines of code
  $ stepstream replay order-1 --workflows ./src/workflows.ts --until slot:3
  $ stepstream replay order-1 --workflows ./src/workflows.ts --inspect
  $ stepstream replay --file order-1.json --workflows ./src/workflows.ts
  $ stepstream replay --all --workflows ./dist/workflows.js            before a deploy: all that are not over
  $ stepstream replay --all --since 7d --workflows ./dist/workflows.js     and those of the last week that are

Nothing is written to the bus, and no step is run. Exit code 1 if the code does not fit, 3 if there was nothing to check.
--until takes a sequence (18), a type of message or event (StepFailed), or a slot (slot:3).
--inspect: open chrome://inspect, or attach your editor to port 9229; set breakpoints in the workflow; continue.`;

interface Flags {
  workflows: string[];
  file?: string[];
  until?: string;
  step?: boolean;
  inspect?: boolean | string;
  all?: boolean;
  since?: string;
  workflow?: string;
  status?: RunState[];
  json?: boolean;
}

const STATES: readonly RunState[] = ["running", "parked", "completed", "failed", "cancelled", "terminated"];

export function addReplay(program: Command, io: Io): void {
  program
    .command("replay [run]")
    .description("run the code of a workflow against the history of a run")
    .requiredOption("-m, --workflows <module...>", "modules that export workflows")
    .option("--file <file...>", "a history from a file instead (stepstream history --export)")
    .option("--until <event>", "stop there")
    .option("--step", "message by message; on a terminal Enter goes on")
    .option("--inspect [host:port]", "in a debugger: node --inspect-brk")
    .option("--all", "many runs: those that are not over, or what the options below say")
    .option("--since <time>", "started later than, whatever their state: 7d, or 2026-11-23")
    .option("--workflow <name>", "only of this workflow")
    .addOption(new Option("--status <state...>", "only in this state").choices(STATES))
    .option("--json", "with --all: as JSON, a line for each run")
    .addHelpText("after", EXAMPLES)
    .action(async (run: string | undefined, flags: Flags, command: Command) => {
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
