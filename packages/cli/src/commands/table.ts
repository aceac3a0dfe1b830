import type { Command } from "commander";
import type { Io } from "../io.ts";

/** Gives a command of the list what its file defines, unless it has that already. */
export type Load = (command: Command, io: Io) => Promise<Command>;

/** What a file of this folder exports: it gives a command its options, its examples and its action. */
interface Definition {
  /** @param load - For commands that need other commands. */
  define(command: Command, io: Io, load: Load): void;
}

/** A command, as far as the list of all commands needs it. */
export interface Listed {
  /** Its name and its arguments. */
  readonly usage: string;
  readonly description: string;
  readonly hidden?: true;
  load(): Promise<Definition>;
}

/**
 * All commands, in the order of `stepstream --help`.
 *
 * C1. The file of a command is loaded only when that command is used, or when all are needed (completion, docs).
 * C2. No file of this folder loads zod, NATS or OpenTelemetry: its action does, with what it does (`../actions`).
 *
 * Checked elsewhere:
 *   C1, C2  test/cli/startup.test.ts › "loads neither zod nor NATS nor OpenTelemetry to print help"
 */
export const COMMANDS: readonly Listed[] = [
  {
    usage: "create <folder>",
    description: "make a project: a workflow, its steps, a test",
    load: () => import("./create.ts"),
  },
  {
    usage: "dev <module...>",
    description: "everything on this machine: nats-server, coordinator, workers; restarted on change",
    load: () => import("./dev.ts"),
  },
  {
    usage: "start <workflow>",
    description: "start a run; <workflow> is a name, or name@version",
    load: () => import("./start.ts"),
  },
  { usage: "ls", description: "runs, newest first", load: () => import("./ls.ts") },
  {
    usage: "show <run>",
    description: "how a run stands, what it waits for and why; the code of its workflow is not needed",
    load: () => import("./show.ts"),
  },
  {
    usage: "watch <run>",
    description: "how a run goes on, live: progress, steps, attempts, timers, children",
    load: () => import("./watch.ts"),
  },
  {
    usage: "history <run>",
    description: "everything that is stored of a run, in the order in which it happened",
    load: () => import("./history.ts"),
  },
  {
    usage: "replay [run]",
    description: "run the code of a workflow against the history of a run",
    load: () => import("./replay.ts"),
  },
  {
    usage: "result <run>",
    description: "wait for the end of a run and print its output",
    load: () => import("./result.ts"),
  },
  {
    usage: "signal <run> <name> [payload]",
    description: "tell a run something (payload: JSON, @file, or -)",
    load: () => import("./signal.ts"),
  },
  {
    usage: "query <run> <name> [input]",
    description: "ask a run something (input: JSON, @file, or -)",
    load: () => import("./query.ts"),
  },
  {
    usage: "update <run> <name> [input]",
    description: "change a run and print its answer (input: JSON, @file, or -)",
    load: () => import("./update.ts"),
  },
  { usage: "cancel [runs...]", description: "ask runs to stop and clean up", load: () => import("./cancel.ts") },
  {
    usage: "terminate [runs...]",
    description: "end runs at once, without clean-up; also those that are parked",
    load: () => import("./terminate.ts"),
  },
  {
    usage: "retry [runs...]",
    description: "start runs again that failed, were cancelled or were terminated",
    load: () => import("./retry.ts"),
  },
  {
    usage: "delete [runs...]",
    description: "delete the history of runs that are over",
    load: () => import("./delete.ts"),
  },
  { usage: "schedule", description: "runs that are started by the clock", load: () => import("./schedule.ts") },
  {
    usage: "queue",
    description: "per step: what waits and runs, since when, circuit breakers, workers alive",
    load: () => import("./queue.ts"),
  },
  { usage: "dead", description: "messages that nobody could handle", load: () => import("./dead.ts") },
  {
    usage: "namespace",
    description: "namespaces: replicas, partitions, placement, which ended runs are removed",
    load: () => import("./namespace.ts"),
  },
  {
    usage: "doctor",
    description: "look whether server, streams, coordinators and workers are as they should be",
    load: () => import("./doctor.ts"),
  },
  {
    usage: "completion <shell>",
    description: "print a script that completes commands and options in bash, zsh or fish",
    load: () => import("./completion.ts"),
  },
  { usage: "help [command...]", description: "print the help of a command", load: () => import("./help.ts") },
  {
    usage: "__complete [words...]",
    description: "what could come next on the command line",
    hidden: true,
    load: () => import("./complete.ts"),
  },
];
