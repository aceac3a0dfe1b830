/**
 * Plants faults in the product's source as a process loads it: `node --import <this file> main.ts …`, with the patches in
 * PLANTED, as in test/simulation/mutations.ts. A patch that does not apply any more ends the process.
 */
import { takeOut } from "../simulation/mutate.ts";
import type { Mutation } from "../simulation/mutations.ts";

const { PLANTED } = process.env;
if (PLANTED) takeOut({ rule: "planted", seed: 1, why: "", patches: JSON.parse(PLANTED) as Mutation["patches"] });
