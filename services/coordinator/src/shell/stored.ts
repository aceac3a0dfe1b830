import { MalformedMessageError, type SubjectParts } from "@stepstream/contracts";
import { NOTHING, type StoredOfRun } from "../audit/compare.ts";
import type { Deps } from "./deps.ts";

interface OfRun {
  /** By slot, the subject. A made-up command of another step may be on the same slot: then the last of them. */
  readonly commands: Map<number, string>;
  readonly timers: Set<number>;
}

/** The commands and timers of a partition, as they were listed once, by run. */
export class Stored {
  readonly #runs = new Map<string, OfRun>();
  /** Commands that are listed and that no worker will get: by run, their slots. */
  readonly #stranded = new Map<string, Set<number>>();

  get runs(): Iterable<string> {
    return this.#runs.keys();
  }

  /** How many commands and timers. */
  get size(): number {
    let size = 0;
    for (const { commands, timers } of this.#runs.values()) size += commands.size + timers.size;
    return size;
  }

  has(run: string): boolean {
    return this.#runs.has(run);
  }

  /** All that is listed of a run. */
  listed(run: string): StoredOfRun {
    return this.#runs.get(run) ?? NOTHING;
  }

  /** The same without what is listed and has no effect. */
  alive(run: string): StoredOfRun {
    const stranded = this.#stranded.get(run);
    const { commands, timers } = this.listed(run);
    if (!stranded) return { commands, timers };
    return { timers, commands: new Set([...commands.keys()].filter((slot) => !stranded.has(slot))) };
  }

  commandOf(run: string, slot: number): string | undefined {
    return this.#runs.get(run)?.commands.get(slot);
  }

  addTimer(run: string, timer: number): void {
    this.#of(run).timers.add(timer);
  }

  addCommand(run: string, slot: number, subject: string): void {
    this.#of(run).commands.set(slot, subject);
  }

  addStranded(run: string, slot: number): void {
    const slots = this.#stranded.get(run) ?? new Set();
    this.#stranded.set(run, slots.add(slot));
  }

  #of(run: string): OfRun {
    let its = this.#runs.get(run);
    if (!its) {
      its = { commands: new Map(), timers: new Set() };
      this.#runs.set(run, its);
    }
    return its;
  }
}

/** Subjects of the last listing and of this one: to parse them all again costs more than all the rest of a look. */
export class Parsed {
  #before = new Map<string, SubjectParts | undefined>();
  #now = new Map<string, SubjectParts | undefined>();

  /** Another listing begins. */
  next(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }

  of(subject: string, parse: () => SubjectParts | undefined): SubjectParts | undefined {
    const known = this.#before.get(subject);
    const parts = known ?? parse();
    this.#now.set(subject, parts);
    return parts;
  }
}

export async function listStored(
  { log, stranded, warn }: Pick<Deps, "log" | "stranded" | "warn">,
  partition: number,
  parsed: Parsed = new Parsed(),
): Promise<Stored> {
  const { subjects } = log;
  parsed.next();
  const parse = (subject: string) => parsed.of(subject, () => subjects.parse(subject));
  const [commands, timers] = await Promise.all([
    log.list("COMMANDS", subjects.all.commandsOfPartition(partition)),
    log.list("TIMERS", subjects.all.timersOfPartition(partition)),
  ]);
  const stored = new Stored();
  const steps = new Set<string>();
  for (const subject of commands.keys()) {
    const { run, slot, step } = parse(subject) ?? {};
    if (run === undefined || slot === undefined || step === undefined) {
      warn("passed over a command in an audit", new MalformedMessageError(subject, "", "its subject is no command's"));
      continue;
    }
    stored.addCommand(run, slot, subject);
    steps.add(step);
  }
  for (const subject of timers.keys()) {
    const { run, slot } = parse(subject) ?? {};
    if (run !== undefined && slot !== undefined) stored.addTimer(run, slot);
  }
  for (const found of await Promise.all([...steps].map((step) => stranded.of(step, partition))))
    for (const subject of found.keys()) {
      const { run, slot } = subjects.parse(subject) ?? {};
      if (run !== undefined && stored.commandOf(run, slot!) === subject) stored.addStranded(run, slot!);
    }
  return stored;
}
