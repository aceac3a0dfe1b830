import type { Duration, InboxMessage, RunEvent, TerminalEvent } from "@stepstream/contracts";
import type { Settings } from "@stepstream/coordinator";
import type { Clock } from "@stepstream/event-log";
import type { AnyWorkflow, Client, HistoryEntry, RunHandle, StartOptions, WorkflowInput } from "@stepstream/sdk";
import type { Chance } from "../chance.ts";
import type { Handlers } from "../handlers.ts";

/** What is to happen in a simulated world. All chance comes from what is passed in, all time from the clock. */
export interface Scenario {
  workflows: readonly AnyWorkflow[];
  /** What the steps do. No real time, no I/O: `ctx.sleep`, `ctx.clock`, `ctx.chance`. */
  steps: Handlers;
  /** The `i`-th run (from 1), drawn. */
  start: (chance: Chance, i: number) => Started<any>;
  /**
   * What people and other programs do to a run once it has started: signals, cancels. It may go on for as long as the
   * run. Being told that the run is over (RUN_CLOSED), or that the log does not answer, is no fault.
   */
  outside?: (run: RunHandle, world: Outside) => Promise<unknown>;
  /**
   * What must be so of each run when all is over, besides all that Stepstream promises. It throws, or returns what is
   * not so as a string or several; nothing else that it returns means anything.
   */
  check?: (run: SimulatedRun, world: SimulatedWorld) => unknown;
  /** Coordinators. Default: 2 or 3, by chance. */
  coordinators?: number;
  /** Workers; each does all steps. Default 2. */
  workers?: number;
  /** The workflows that a coordinator (from 1) knows. Default: all. Where given, a run may be parked for want of one. */
  hosts?: (coordinator: number) => readonly AnyWorkflow[];
  /**
   * New code of some of the workflows, under their names and versions. When so much of the world's time has passed, all
   * coordinators are killed and come back with it. Runs that began with the old code continue with the new, which has to
   * fit what is stored of them (`w.patched`).
   */
  deploy?: { after: Duration; workflows: readonly AnyWorkflow[] };
  /**
   * A live run may rest on nothing that is stored, if this is true of it. Runs that wait for a signal or an update and
   * for nothing else are excused anyhow.
   */
  excused?: (run: LiveRun) => boolean;
  /** Of the coordinators. Default: short ones, so that much happens. */
  settings?: Partial<Settings>;
}

export interface Started<W extends AnyWorkflow> {
  workflow: W;
  input: WorkflowInput<W>;
  options?: Pick<StartOptions, "delay" | "timeout">;
}

export interface Outside {
  workflow: AnyWorkflow;
  chance: Chance;
  clock: Clock;
  client: Client;
  /** So many milliseconds of virtual time. */
  sleep(ms: number): Promise<void>;
  /** Resolves when the faults are over, and every process has noticed. */
  calm(): Promise<void>;
  /**
   * Call it before and after a run is deleted, or another is started in its place: what was observed of the run so far
   * is not held against the one that gets the id next.
   */
  forget(run: string): void;
}

/** A run as it is stored, in the middle of the simulation. */
export interface LiveRun {
  readonly id: string;
  inbox(): InboxMessage[];
  events(): RunEvent[];
}

/** A run when all is over. */
export interface SimulatedRun {
  readonly id: string;
  readonly workflow: string;
  /** As it was given to `start`. */
  readonly input: unknown;
  /** How it ended, its output as `run.result()` returns it; undefined if it never did. */
  readonly end: TerminalEvent | undefined;
  readonly history: readonly HistoryEntry[];
}

/** The other runs of the same world. */
export interface SimulatedWorld {
  /** How a run ended; undefined if it never did, or there is none. */
  end(run: string): TerminalEvent | undefined;
  /** When `deploy` took place, by the server's clock, in epoch milliseconds; undefined if it has not. */
  readonly deployedAt: number | undefined;
}

/** What came of one world, or of many. */
export interface Outcome {
  /** The world's; of many the first that went wrong, else the first. */
  seed: number;
  /** What was not as promised; empty if all was. */
  faults: string[];
  /** The shortest history among the runs that went wrong, message by message. */
  history: string | undefined;
  /** The same in words. */
  story: string | undefined;
  /** How often each kind of mishap happened. */
  mishaps: Record<string, number>;
  runs: number;
  virtualMs: number;
}
