import { DeadLetter, decode, type MalformedMessageError } from "@stepstream/contracts";
import type { Command } from "commander";
import type { Flags } from "../commands/dead.ts";
import { type Bus, withBus } from "../connection.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";
import { type Paint, painter } from "../print/colour.ts";
import { printLine, printPage } from "../print/json.ts";
import { oneLine, table } from "../print/table.ts";
import { ago, stamp } from "../print/time.ts";
import { timeOf } from "../time-option.ts";
import { whole } from "../whole.ts";

/** A dead letter, and where it lies. */
export interface Buried {
  seq: number;
  at: number;
  step?: string;
  run?: string;
  slot?: number;
  letter: DeadLetter;
}

export async function deadLs(command: Command, io: Io, flags: Flags): Promise<void> {
  await withBus(command, io, (bus) => ls(bus, io, flags));
}

export async function deadShow(command: Command, io: Io, seq: string, flags: { json?: boolean }): Promise<void> {
  await withBus(command, io, async (bus) => {
    const one = await readOne(bus, seq);
    if (flags.json) printPage(io, one);
    else io.out.write(`${told(one, painter(io, io.out))}\n`);
  });
}

async function ls(bus: Bus, io: Io, flags: Flags): Promise<void> {
  const since = flags.since === undefined ? 0 : timeOf("--since", flags.since, io.now());
  const all = flags.step === undefined && flags.run === undefined;
  const some = `${flags.step ?? "*"}.*.${flags.run ?? "*"}.*`;
  // All of them means also those whose subject says nothing.
  const found = (await read(bus, `${bus.namespace}.dead.${all ? ">" : some}`))
    .filter(({ at }) => at >= since)
    .reverse()
    .slice(0, whole("--limit", flags.limit));
  if (flags.json) {
    for (const one of found) printLine(io, one);
    return;
  }
  if (found.length === 0) return void io.err.write("There are no dead letters.\n");
  const titles = ["SEQ", "WHEN", "STEP", "RUN", "SLOT", "CODE", "WHY"].map((title) => ({ title }));
  const paint = painter(io, io.out);
  const rows = found.map(({ seq, at, step = "", run = "", slot, letter }) => [
    `${seq}`,
    ago(bus.log.serverNow() - at),
    step,
    run,
    slot ? `${slot}` : "",
    paint("red", letter.code),
    oneLine(letter.message),
  ]);
  io.out.write(`${table(titles, rows, io.out.columns)}\n`);
}

/** @throws {CliError} There is none. */
export async function readOne(bus: Bus, seq: string): Promise<Buried> {
  const one = (await read(bus, `${bus.namespace}.dead.>`)).find((buried) => `${buried.seq}` === seq);
  if (one) return one;
  throw new CliError(`There is no dead letter ${seq} in namespace "${bus.namespace}".`, EXIT.notFound);
}

/** For people: dead letters are few, or something is so wrong that reading all of them is the least of it. */
async function read({ log }: Bus, filter: string): Promise<Buried[]> {
  const found: Buried[] = [];
  for (const subject of (await log.list("DEAD", filter)).keys()) {
    const { step, run, slot } = log.subjects.parse(subject) ?? {};
    for (const { seq, at, text } of await log.read(subject, { fresh: true }))
      found.push({
        seq,
        at,
        ...(step !== undefined && step !== "-" && { step }),
        ...(run !== undefined && run !== "-" && { run }),
        ...(slot !== undefined && slot > 0 && { slot }),
        letter: readLetter(subject, seq, text),
      });
  }
  return found.sort((a, b) => a.seq - b.seq);
}

/** One that cannot be read is shown as what it is: whoever put it there, it keeps none of the others. */
function readLetter(subject: string, seq: number, text: string): DeadLetter {
  try {
    return decode(DeadLetter, text, `${subject} #${seq}`);
  } catch (error) {
    const { code, message } = error as MalformedMessageError;
    return { v: 1, type: "DeadLetter", code, message, subject, seq, text };
  }
}

function told({ seq, at, step, run, slot, letter }: Buried, paint: Paint): string {
  const { code, message, path, subject, text, error } = letter;
  const lines = [
    `${paint("bold", `dead letter ${seq}`)}  ${paint("red", code)}`,
    `when     ${stamp(at)}`,
    step !== undefined && `step     ${step}`,
    run !== undefined && `run      ${run}${slot ? `, slot ${slot}` : ""}`,
    `why      ${message}`,
    path !== undefined && `path     ${path}`,
    `message  ${subject} #${letter.seq}`,
    ...causes(error?.cause).map((cause) => `because  ${cause}`),
    "",
    asJson(text),
    "",
    `What this code means, and what to do: docs/errors.md#${code.toLowerCase()}`,
  ];
  return lines.filter((line) => line !== false).join("\n");
}

function causes(failure: unknown): string[] {
  const said: string[] = [];
  for (let at = failure as { message?: string; cause?: unknown } | undefined; at?.message; at = at.cause as typeof at)
    said.push(at.message);
  return said;
}

function asJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
