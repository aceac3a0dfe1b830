import type { Command } from "commander";
import { withBus } from "../connection.ts";
import type { Finding } from "../doctor/facts.ts";
import { gather } from "../doctor/gather.ts";
import { judge } from "../doctor/judge.ts";
import { EXIT, Exit } from "../errors.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";

const EXAMPLES = `
Examples:
  $ stepstream doctor
  $ stepstream doctor --monitor http://127.0.0.1:8222     also how often the server syncs to disk
  $ stepstream doctor --json | jq 'select(.level != "ok")'

Exit code 1 if something is wrong; warnings alone are 0. Nothing is changed.`;

const MARK = { ok: "✓", warn: "!", error: "✗" } as const;
const STYLE = { ok: "green", warn: "yellow", error: "red" } as const;

export function addDoctor(program: Command, io: Io): void {
  program
    .command("doctor")
    .description("look whether server, streams, coordinators and workers are as they should be")
    .option("--monitor <url>", "the server's monitoring port")
    .option("--json", "as JSON, a line for each finding")
    .addHelpText("after", EXAMPLES)
    .action((flags: { monitor?: string; json?: boolean }, command: Command) =>
      withBus(command, io, async (bus) => {
        const findings = judge(await gather(bus, { monitor: flags.monitor, now: io.now }));
        for (const finding of findings) io.out.write(`${flags.json ? JSON.stringify(finding) : told(io, finding)}\n`);
        const errors = findings.filter(({ level }) => level === "error").length;
        const warnings = findings.filter(({ level }) => level === "warn").length;
        if (!flags.json) io.out.write(`\n${errors} wrong, ${warnings} to think about\n`);
        if (errors > 0) throw new Exit(EXIT.no);
      }),
    );
}

function told(io: Io, { level, about, seen, todo }: Finding): string {
  const paint = painter(io, io.out);
  const line = `${paint(STYLE[level], MARK[level])} ${about}: ${seen}`;
  return todo === undefined ? line : `${line}\n    ${paint("bold", todo)}`;
}
