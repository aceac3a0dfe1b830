/** Handlers for `node services/step-worker/src/main.ts`: in the other way it takes. */

import type { Handler } from "@stepstream/step-worker";
import { take } from "./steps.ts";

const handler: Handler<typeof take> = async (ms) => ms + 1;
export const handlers = [{ step: take, handler }];
