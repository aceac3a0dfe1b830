import { PermissionViolationError } from "@nats-io/transport-node";
import { type Check, error, type Finding } from "./check.ts";
import type { Target } from "./target.ts";

/** No check may take longer, in milliseconds. */
const LIMIT_MS = 5_000;

/** A finding, and which check it is of. */
export interface Examined extends Omit<Finding, "level"> {
  check: string;
  /** `accepted`: it is wrong, and the operator has said that it may be. */
  level: Finding["level"] | "accepted";
}

/** Asks all checks at the same time. In the order of the checks. */
export async function examine(
  target: Target,
  checks: readonly Check[],
  accepted: ReadonlySet<string>,
): Promise<Examined[]> {
  const found = await Promise.all(
    checks.map(async (one) => {
      const findings = await asked(target, one);
      return findings.map(({ level, ...rest }) => ({
        check: one.name,
        level: level !== "ok" && accepted.has(one.name) ? ("accepted" as const) : level,
        ...rest,
      }));
    }),
  );
  return found.flat();
}

async function asked(target: Target, one: Check): Promise<Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  const looking = one.look(target);
  looking.catch(() => {}); // It may fail when nobody waits for it any more.
  try {
    return one.judge(await Promise.race([looking, late]));
  } catch (cause) {
    return [unanswered(one.name, cause)];
  } finally {
    clearTimeout(timer);
  }
}

function unanswered(about: string, cause: unknown): Finding {
  const refused = deepest(cause);
  if (refused instanceof PermissionViolationError)
    return error(
      about,
      `could not be examined: ${refused.message}`,
      `Allow the user of this command to ${refused.operation === "publish" ? "publish" : "subscribe"} to ${refused.subject}.`,
    );
  return error(
    about,
    `could not be examined: ${(cause as Error).message}`,
    "Follow what the other findings say, then look again.",
  );
}

/** Errors of requests have what the server said as their cause. */
function deepest(cause: unknown): unknown {
  let at = cause;
  for (let depth = 0; depth < 5 && at instanceof Error && at.cause !== undefined; depth++) at = at.cause;
  return at;
}
