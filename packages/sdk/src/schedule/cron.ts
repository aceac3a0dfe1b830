/**
 * Cron patterns: which wall-clock times they name. Parsing and matching are croner's; it is asked as if wall clocks
 * showed UTC, for when a wall-clock time comes in a place with summer time is said by times.ts, and by nobody else.
 */

import { Cron } from "croner";

export interface CronPattern {
  /** Its hours are `*`: it goes by the time that passes, not by times of day. */
  readonly everyHour: boolean;
  /** The first wall-clock time after `wallMs` that it names, if there is one. */
  next(wallMs: number): number | undefined;
}

const FIELDS = ["minute", "hour", "day of month", "month", "day of week"] as const;

const ALIASES: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/**
 * @param pattern - Minute, hour, day of month, month, day of week; with a sixth field, seconds come first. Lists,
 * ranges, steps, names, `L`, `W`, `#`. Where both kinds of day are restricted, either will do, as ever in cron.
 * @throws {RangeError} It is no pattern; the message says which field, and where in the text.
 */
export function parseCron(pattern: string): CronPattern {
  const text = pattern.trim().startsWith("@") ? ALIASES[pattern.trim().toLowerCase()] : pattern;
  if (text === undefined) throw new RangeError(`"${pattern}" is none of ${Object.keys(ALIASES).join(", ")}`);
  const found = [...text.matchAll(/\S+/g)];
  const names = found.length === 6 ? ["second", ...FIELDS] : FIELDS;
  if (found.length !== names.length)
    throw new RangeError(
      `"${pattern}" has ${found.length} field${found.length === 1 ? "" : "s"}; it takes 5 (${FIELDS.join(", ")}), or 6 with seconds first`,
    );
  const fields = found.map(([field]) => field);
  // Each by itself first, so that what is wrong can be pointed at.
  for (const [i, field] of fields.entries()) {
    const alone = names.map((_, other) => (other === i ? field : "*")).join(" ");
    const wrong = attempt(alone);
    if (typeof wrong === "string")
      throw new RangeError(
        `"${pattern}" is wrong at character ${found[i]!.index + 1}, "${field}" (field ${i + 1}, ${names[i]}): ${wrong}`,
      );
  }
  const cron = attempt(fields.join(" "));
  if (typeof cron === "string") throw new RangeError(`"${pattern}" is no cron pattern: ${cron}`);
  const hours = fields.at(-4)!;
  return {
    everyHour: hours === "*" || hours === "?" || hours === "*/1",
    next: (wallMs) => cron.nextRun(new Date(wallMs))?.getTime(),
  };
}

/** @returns what is wrong, where something is. */
function attempt(pattern: string): Cron | string {
  try {
    // No function: nothing is ever run by it, and it sets no timer.
    return new Cron(pattern, { utcOffset: 0, mode: "5-or-6-parts", paused: true });
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, "");
  }
}
