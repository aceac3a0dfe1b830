import { type Duration, durationMs } from "@stepstream/contracts";
import { CliError, EXIT } from "./exit.ts";

/**
 * A point in time from the command line: how long ago (`2h`, `1d`), or a date (`2026-11-23`, `2026-11-23T02:00:00Z`;
 * without a zone it is UTC).
 *
 * @returns Epoch milliseconds.
 * @throws {CliError} It is neither.
 */
export function timeOf(option: string, said: string, now: number): number {
  try {
    if (/^\d+(\.\d+)?[a-z]+$/.test(said)) return now - durationMs(said as Duration);
  } catch {
    // Told below.
  }
  if (/^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:\d\d)?)?$/.test(said)) {
    const zoned = /(Z|[+-]\d\d:\d\d)$/.test(said) || said.length === 10 ? said : `${said}Z`;
    const at = Date.parse(zoned);
    if (!Number.isNaN(at)) return at;
  }
  throw new CliError(
    `${option}: "${said}" is no time. Write how long ago (2h, 1d), or 2026-11-23T02:00:00Z.`,
    EXIT.usage,
  );
}
