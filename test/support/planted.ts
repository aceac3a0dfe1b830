import { fileURLToPath } from "node:url";
import type { Mutation } from "../simulation/mutations.ts";

const PLANT = fileURLToPath(new URL("plant.ts", import.meta.url));

/** How to start a program of the product with faults planted in it. */
export function planted(patches: Mutation["patches"]): { args: string[]; env: Record<string, string> } {
  if (patches.length === 0) return { args: [], env: {} };
  return { args: ["--import", PLANT], env: { PLANTED: JSON.stringify(patches) } };
}
