import type { Command } from "commander";
import type { Flags } from "../commands/doctor.ts";
import { withBus } from "../connection.ts";
import type { Finding } from "../doctor/facts.ts";
import { gather } from "../doctor/gather.ts";
import { judge } from "../doctor/judge.ts";
import { EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";

const MARK = { ok: "✓", warn: "!", error: "✗" } as const;
const STYLE = { ok: "green", warn: "yellow", error: "red" } as const;

export async function doctor(command: Command, io: Io, flags: Flags): Promise<void> {
  await withBus(command, io, async (bus) => {
    const findings = judge(await gather(bus, { monitor: flags.monitor, now: io.now }));
    for (const finding of findings) {
      if (flags.json) printLine(io, finding);
      else io.out.write(`${told(io, finding)}\n`);
    }
    const errors = findings.filter(({ level }) => level === "error").length;
    const warnings = findings.filter(({ level }) => level === "warn").length;
    if (!flags.json) io.out.write(`\n${errors} wrong, ${warnings} to think about\n`);
    if (errors > 0) throw new Exit(EXIT.no);
  });
}

function told(io: Io, { level, about, seen, todo }: Finding): string {
  const paint = painter(io, io.out);
  const line = `${paint(STYLE[level], MARK[level])} ${about}: ${seen}`;
  return todo === undefined ? line : `${line}\n    ${paint("bold", todo)}`;
}
