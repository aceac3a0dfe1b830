import { CliError, EXIT } from "./exit.ts";

/** A whole number of the command line. @throws {CliError} It is not one, or outside of these limits. */
export function whole(option: string, said: string, max = 999_999_999): number {
  const number = Number(said);
  if (/^\d+$/.test(said) && number >= 1 && number <= max) return number;
  const range = max === 999_999_999 ? "from 1" : `from 1 to ${max}`;
  throw new CliError(`${option} is a whole number ${range}, not "${said}".`, EXIT.usage);
}
