/** Bad luck that can be repeated: which attempts fail depends on a seed, the work and the attempt alone. */

import { createHash } from "node:crypto";

/** One attempt in so many. */
const ONE_IN = 8;

export class Misfortune extends Error {
  override name = "Misfortune";
}

export function isUnlucky(seed: number, what: string, attempt: number): boolean {
  return createHash("sha256").update(`${seed} ${what} ${attempt}`).digest().readUInt32BE() % ONE_IN === 0;
}
