import { type Duration, durationMs } from "@stepstream/contracts";
import type { Command } from "commander";
import type { Flags } from "../commands/doctor.ts";
import { withNats } from "../connection.ts";
import type { Check } from "../doctor/check.ts";
import { CHECKS } from "../doctor/checks/index.ts";
import { permissions } from "../doctor/checks/permissions.ts";
import { type Examined, examine } from "../doctor/examine.ts";
import { type Options, openTarget } from "../doctor/target.ts";
import { CliError, EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { ROLES, type Role } from "../permissions/need.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";

const MARK = { ok: "✓", warn: "!", error: "✗", accepted: "-" } as const;
const STYLE = { ok: "green", warn: "yellow", error: "red", accepted: "gray" } as const;

export async function doctor(command: Command, io: Io, flags: Flags): Promise<void> {
  const asked = readFlags(flags);
  await withNats(command, io, async ({ nc, namespace, connection }) => {
    const options = { ...asked.options, now: io.now, dev: connection.dev };
    const findings = await examine(await openTarget(nc, namespace, options), asked.checks, asked.accepted);
    for (const finding of findings) {
      if (flags.json) printLine(io, finding);
      else io.out.write(`${described(io, finding)}\n`);
    }
    const count = (level: Examined["level"]) => findings.filter((one) => one.level === level).length;
    if (!flags.json)
      io.out.write(
        `\n${count("error")} wrong, ${count("warn")} to think about${count("accepted") > 0 ? `, ${count("accepted")} accepted` : ""}\n`,
      );
    if (count("error") > 0) throw new Exit(EXIT.no);
  });
}

interface Asked {
  checks: readonly Check[];
  accepted: ReadonlySet<string>;
  options: Omit<Options, "now" | "dev">;
}

/** @throws {CliError} One of them is not valid. */
function readFlags({ monitor = [], accept = [], role, steps = [], maxWait }: Flags): Asked {
  const names = CHECKS.map(({ name }) => name);
  const accepted = accept.flatMap((text) => text.split(","));
  for (const name of accepted) if (!names.includes(name)) throw invalid("--accept", name, `one of ${names.join(", ")}`);
  const isRole = (ROLES as readonly string[]).includes(role ?? ROLES[0]);
  if (!isRole) throw invalid("--role", role!, `one of ${ROLES.join(", ")}`);
  if (steps.length > 0 && role !== "worker") throw new CliError("--steps goes with --role worker.", EXIT.usage);
  const monitors = monitor.flatMap((text) => text.split(","));
  for (const url of monitors)
    if (!/^https?:/.test(url) || !URL.canParse(url))
      throw invalid("--monitor", url, "a URL such as http://127.0.0.1:8222");
  try {
    const options = {
      monitors,
      maxWaitMs: durationMs(maxWait as Duration, "--max-wait"),
      ...(role && { role: role as Role }),
      steps: steps.flatMap((text) => text.split(",")),
    };
    return { checks: role ? [permissions] : CHECKS, accepted: new Set(accepted), options };
  } catch (cause) {
    throw new CliError((cause as Error).message, EXIT.usage, { cause });
  }
}

function invalid(option: string, value: string, needed: string): CliError {
  return new CliError(`Invalid ${option} "${value}". Use ${needed}.`, EXIT.usage);
}

function described(io: Io, { level, about, seen, todo, check }: Examined): string {
  const paint = painter(io, io.out);
  const line = `${paint(STYLE[level], MARK[level])} ${about}: ${seen}`;
  if (level === "accepted") return `${line} (accepted: ${check})`;
  return todo === undefined ? line : `${line}\n    ${paint("bold", todo)}`;
}
