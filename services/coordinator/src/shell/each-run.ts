import { LogUnavailableError } from "@stepstream/contracts";
import type { Deps } from "./deps.ts";

/**
 * Does something for many runs, `atATime` of them at a time. What goes wrong with one is a warning, and stops no other.
 *
 * @param wanted - Asked before each: is it still to be done?
 * @throws {LogUnavailableError} After all of them, if the log was away for one: that is to be done again.
 */
export async function eachRun(
  { warn }: Pick<Deps, "warn">,
  what: string,
  runs: Iterable<string>,
  atATime: number,
  act: (run: string) => Promise<void>,
  wanted: () => boolean,
): Promise<void> {
  const left = [...runs].reverse();
  let away: LogUnavailableError | undefined;
  const work = async () => {
    for (let run = left.pop(); run !== undefined && wanted(); run = left.pop()) {
      try {
        await act(run);
      } catch (error) {
        if (error instanceof LogUnavailableError) away = error;
        else warn(what, error, run);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, left.length) }, work));
  if (away) throw away;
}
