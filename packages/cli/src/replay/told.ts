import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { NonDeterminismError } from "@stepstream/contracts";
import type { Pending, Position, Walked } from "@stepstream/coordinator";
import type { Paint } from "../print/colour.ts";
import { cut } from "../print/table.ts";
import { stamp } from "../print/time.ts";
import { linesOf } from "../view/entry.ts";

export interface Look {
  paint: Paint;
  cwd: string;
  /** Lines are cut to it; undefined: they are not. */
  width: number | undefined;
}

/** A step of the walk for people: the message, what was decided on it, what is waited for and where in the code. */
export function told(walked: Walked, look: Look): string[] {
  const { paint, width } = look;
  const fit = (line: string) => (width === undefined ? line : cut(line, width));
  const { seq, at, message, decided, recorded, over, fault } = walked;
  const [line] = linesOf({ seq, at, kind: "inbox", message });
  const slot = line!.slot === undefined ? "" : `slot ${line!.slot}  `;
  const lines = [
    fit(`${paint("bold", `#${seq}`)}  ${stamp(at)}  ${paint("green", message.type)}  ${slot}${line!.text}`),
  ];
  for (const event of decided) {
    const [said] = linesOf({
      seq,
      at,
      kind: "journal",
      message: { v: 1, type: "Decision", upTo: seq, by: "", events: [event] },
    });
    const where = said!.slot === undefined ? "" : `slot ${said!.slot}  `;
    const mark = recorded ? "decided" : "would decide";
    lines.push(fit(`  ${paint("cyan", mark)}  ${event.type}  ${where}${said!.text}`));
  }
  if (fault) return lines;
  if (over) lines.push(`  ${paint("bold", "the run is over")}`);
  else lines.push(...pendingLines(walked.pending(), look));
  return lines;
}

/** What the workflow waits for, each with the line of code that asked for it. */
export function pendingLines(pending: readonly Pending[], look: Look): string[] {
  const { paint } = look;
  return pending.flatMap(({ slot, what, fireAt, positions }) => {
    const until = fireAt === undefined ? "" : ` until ${stamp(fireAt)}`;
    const head = `  ${paint("yellow", "waits for")}  ${slot === undefined ? "" : `slot ${slot}  `}${what}${until}`;
    return [head, ...placeLines(positions, look)];
  });
}

function placeLines(positions: readonly Position[], { paint, cwd }: Look): string[] {
  const [first, ...callers] = positions;
  if (!first) return [];
  const lines = [
    `      ${paint("underline", placeOf(first, cwd))}${first.name ? paint("gray", `  in ${first.name}`) : ""}`,
  ];
  const source = sourceLine(first);
  if (source !== undefined) lines.push(`        ${paint("gray", source)}`);
  for (const caller of callers) lines.push(paint("gray", `      from ${placeOf(caller, cwd)}`));
  return lines;
}

function placeOf({ file, line, column }: Position, cwd: string): string {
  const path = relative(cwd, file);
  return `${path.startsWith("..") ? file : path}:${line}:${column}`;
}

const sources = new Map<string, string[]>();

/** The line of code, as it is now. */
function sourceLine({ file, line }: Position): string | undefined {
  let lines = sources.get(file);
  if (!lines) {
    try {
      lines = readFileSync(file, "utf8").split("\n");
    } catch {
      lines = [];
    }
    sources.set(file, lines);
  }
  return lines[line - 1]?.trim();
}

/** Where the code no longer fits: both sides, and the line that asked for something else. */
export function divergence(walked: Walked, look: Look): string[] {
  const { paint } = look;
  const { fault, faultPositions = [], seq } = walked;
  if (!(fault instanceof NonDeterminismError))
    return [paint("red", fault!.message), ...placeLines(faultPositions, look)];
  const side = (value: unknown) => (value === undefined ? "nothing more" : JSON.stringify(value));
  const lines = [
    `${paint("red", "diverges")} at message #${seq}, decision ${fault.detail.at}`,
    `  ${paint("green", "recorded")}  ${side(fault.recorded)}`,
    `  ${paint("red", "the code")}  ${side(fault.replayed)}`,
  ];
  if (fault.replayed !== undefined) return [...lines, ...placeLines(faultPositions, look)];
  // It asked for nothing: it still waits, somewhere.
  const pending = walked.pending();
  return [...lines, ...(pending.length > 0 ? pendingLines(pending, look) : ["  and the workflow has nothing open"])];
}
