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
