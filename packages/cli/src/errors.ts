import { stripVTControlCharacters } from "node:util";
import {
  CallTimeoutError,
  messageOf,
  QueryUnansweredError,
  RunParkedError,
  StepstreamError,
} from "@stepstream/contracts";
import { UsageError } from "@stepstream/program/usage-error";
import { CliError, EXIT, type ExitCode } from "./exit.ts";

const BY_CODE: Record<string, ExitCode> = {
  INVALID_INPUT: EXIT.usage,
  RUN_NOT_FOUND: EXIT.notFound,
  NAMESPACE_NOT_FOUND: EXIT.notFound,
  LOG_UNAVAILABLE: EXIT.bus,
  LOG_REFUSED: EXIT.bus,
  PERMISSION_DENIED: EXIT.bus,
  SERVER_TOO_OLD: EXIT.bus,
  PARTITION_MISMATCH: EXIT.bus,
  QUERY_UNANSWERED: EXIT.bus,
  CALL_TIMEOUT: EXIT.bus,
  RUN_ALREADY_EXISTS: EXIT.state,
  NAMESPACE_EXISTS: EXIT.state,
  RUN_CLOSED: EXIT.state,
  RUN_PARKED: EXIT.state,
  RUN_STILL_GOING: EXIT.state,
  RUN_NOT_RETRIED: EXIT.state,
  SIGNAL_REFUSED: EXIT.state,
  UPDATE_REFUSED: EXIT.state,
  QUERY_FAILED: EXIT.state,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof StepstreamError) return BY_CODE[error.code] ?? EXIT.no;
  if (error instanceof UsageError) return EXIT.usage;
  // What the SDK throws for an id, a duration, a name that is none.
  if (error instanceof RangeError) return EXIT.usage;
  return EXIT.no;
}

/** What has no code of its own has that of its exit code. */
const CODES: Record<ExitCode, string> = {
  0: "OK",
  1: "FAILED",
  2: "USAGE",
  3: "NOT_FOUND",
  4: "BUS_UNAVAILABLE",
  5: "WRONG_STATE",
  130: "INTERRUPTED",
};

/** An error of `--json`, wherever it stands: code, message, and what caused it (see print/json.ts, J3). */
export interface ErrorJson {
  code: string;
  message: string;
  cause?: ErrorJson;
}

export function errorOf(error: unknown, depth = 0): ErrorJson {
  const code = error instanceof StepstreamError ? error.code : CODES[exitCodeOf(error)];
  const cause = error instanceof Error && error.cause !== undefined && depth < 8 ? error.cause : undefined;
  return {
    code: error instanceof Error && !isOurs(error) ? "INTERNAL" : code,
    message: messageOf(error),
    ...(cause !== undefined && { cause: errorOf(cause, depth + 1) }),
  };
}

function isOurs(error: Error): boolean {
  return [CliError, UsageError, StepstreamError, RangeError].some((one) => error instanceof one);
}

/** The command that helps next. @returns undefined where the message says all. */
export function nextCommand(error: unknown): string | undefined {
  if (error instanceof RunParkedError) return `stepstream terminate ${error.run}`;
  if (error instanceof CallTimeoutError || error instanceof QueryUnansweredError) return "stepstream doctor";
  return undefined;
}

/** The error and what caused it, a line each. */
export function lines(error: unknown): string[] {
  const said: string[] = [];
  for (let at: unknown = error; at !== undefined && said.length < 8; at = (at as { cause?: unknown }).cause) {
    const message = printable(messageOf(at));
    // Most of ours tell their cause in their own words.
    if (message && !said.some((line) => line.includes(message))) said.push(message);
    if (!(at instanceof Error)) break;
  }
  return said;
}

/** Without what would move the cursor or change colours: messages quote what others have written. */
function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\P{Cc}\n\t]/gu, "");
}
