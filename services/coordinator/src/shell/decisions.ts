import { Decision, decode, isOfNewerVersion } from "@stepstream/contracts";
import type { Stored } from "@stepstream/event-log";
import { place } from "./place.ts";

/**
 * Reads a message of a journal.
 *
 * @returns undefined for one that says nothing about being a decision: no coordinator wrote it, and it counts for nothing
 * but the fence, which is the subject's last sequence.
 * @throws {MalformedMessageError} It says that it is a decision, or is of a newer version, and cannot be read. Without it
 * the run is not known.
 */
export function readDecision(stored: Stored): Decision | undefined {
  try {
    return decode(Decision, stored.text, place(stored));
  } catch (error) {
    if (isOfNewerVersion(error) || stored.text.includes(MARK)) throw error;
    return undefined;
  }
}

/** As every coordinator writes it. */
const MARK = '"type":"Decision"';
