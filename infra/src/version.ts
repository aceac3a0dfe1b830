/** The nats-server that is fetched where none is found: the one the measurements in the docs were made with. */
export const NATS_VERSION = "2.15.1";

/** The oldest nats-server that will do: message schedules and the counters of `Nats-Expected-*` appeared in 2.12. */
export const NATS_VERSION_MIN = "2.12.0";

/** The official image of the same version. */
export const NATS_IMAGE = `nats:${NATS_VERSION}`;

/**
 * Reads the version from what `nats-server -v` prints.
 *
 * @returns Three numbers, e.g. "2.15.1"; undefined where the text holds none.
 * @example parseVersion("nats-server: v2.15.1"); // "2.15.1"
 */
export function parseVersion(text: string): string | undefined {
  return /v?(\d+\.\d+\.\d+)/.exec(text)?.[1];
}

/** Whether `version` is `wanted` or newer. Both are three numbers joined by dots. */
export function isAtLeast(version: string, wanted: string): boolean {
  const theirs = version.split(".").map(Number);
  const ours = wanted.split(".").map(Number);
  for (const [i, number] of ours.entries()) {
    if (theirs[i] !== number) return (theirs[i] ?? 0) > number;
  }
  return true;
}
