/** All of them, in the order of the tour. */

import type { Practice } from "../practices/practices.ts";
import * as approval from "./approval.ts";
import * as booking from "./booking.ts";
import * as cancel from "./cancel.ts";
import * as children from "./children.ts";
import * as determinism from "./determinism.ts";
import * as longLived from "./long-lived.ts";
import * as races from "./races.ts";
import * as starting from "./starting.ts";
import * as timers from "./timers.ts";
import * as versions from "./versions.ts";

/** One construct, or a few that belong together: `about` in a line, and `play`. */
export type Construct = Practice;

export const CONSTRUCTS: Readonly<Record<string, Construct>> = {
  approval,
  booking,
  children,
  cancel,
  timers,
  races,
  "long-lived": longLived,
  versions,
  starting,
  determinism,
};
