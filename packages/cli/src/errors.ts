import { stripVTControlCharacters } from "node:util";
import {
  CallTimeoutError,
  messageOf,
  QueryUnansweredError,
  RunParkedError,
  StepstreamError,
} from "@stepstream/contracts";

/** What the process ends with. Scripts can rely on these. */
export const EXIT = {
  ok: 0,
  /** The answer is no: the run failed, a replay diverges, the doctor found an error. */
  no: 1,
  /** Wrong usage: unknown option, input that does not fit. */
  usage: 2,
  /** There is no such run, schedule, dead letter, namespace. */
  notFound: 3,
  /** The bus does not answer, or refuses. */
  bus: 4,
  /** The state forbids it: the run exists, or is over. */
  state: 5,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What went wrong, in words for people: what, and what to do next. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode = EXIT.no, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Thrown by a command that has said all there is to say: ends with this code, and nothing more is printed. */
export class Exit extends Error {
  readonly code: ExitCode;
  constructor(code: ExitCode) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

const BY_CODE: Record<string, ExitCode> = {
  INVALID_INPUT: EXIT.usage,
  RUN_NOT_FOUND: EXIT.notFound,
  NAMESPACE_NOT_FOUND: EXIT.notFound,
  LOG_UNAVAILABLE: EXIT.bus,
  LOG_REFUSED: EXIT.bus,
  SERVER_TOO_OLD: EXIT.bus,
  PARTITION_MISMATCH: EXIT.bus,
  QUERY_UNANSWERED: EXIT.bus,
  CALL_TIMEOUT: EXIT.bus,
  RUN_ALREADY_EXISTS: EXIT.state,
  RUN_CLOSED: EXIT.state,
  RUN_PARKED: EXIT.state,
  RUN_STILL_GOING: EXIT.state,
  SIGNAL_REFUSED: EXIT.state,
  UPDATE_REFUSED: EXIT.state,
  QUERY_FAILED: EXIT.state,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof StepstreamError) return BY_CODE[error.code] ?? EXIT.no;
  // What the SDK throws for an id, a duration, a name that is none.
  if (error instanceof RangeError) return EXIT.usage;
  return EXIT.no;
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
