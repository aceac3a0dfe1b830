import type { Walked } from "@stepstream/coordinator";
import { CliError, EXIT } from "../exit.ts";

/**
 * Where `--until` stops: a stream sequence (`18`), a type of message or event (`StepFailed`), or the first that is about
 * a slot (`slot:3`).
 *
 * @returns Whether a step of the walk is the one. @throws {CliError} It is none of these.
 */
export function untilOf(said: string): (walked: Walked) => boolean {
  if (/^\d+$/.test(said)) return ({ seq }) => seq >= Number(said);
  const slot = /^slot[: ]?(\d+)$/.exec(said)?.[1];
  if (slot !== undefined)
    return ({ message, decided }) => [message, ...decided].some((one) => "slot" in one && one.slot === Number(slot));
  if (/^[A-Z][A-Za-z]+$/.test(said))
    return ({ message, decided }) => [message, ...decided].some(({ type }) => type === said);
  throw new CliError(
    `--until takes a sequence (18), a type (StepFailed) or a slot (slot:3), not "${said}".`,
    EXIT.usage,
  );
}
