import { type DeadLetter, type StepstreamError, toFailure } from "@stepstream/contracts";
import type { EventLog, Stored } from "./port.ts";

/** In characters: as a string in a string it may take six times as many bytes, and has to fit a message. */
const TEXT_MAX = 16 * 1024 * 1024;

function shortened(text: string): string {
  return `${text.slice(0, 65_536)}… (the first 65536 of ${text.length} characters)`;
}

/**
 * Keeps a message that cannot be handled, with all that is needed to look into it: on the subject of its step, run and
 * slot as far as they are known. Doing it again within two minutes keeps it once. Of a text longer than 16 MiB the
 * beginning is kept.
 *
 * @throws As `log.append`.
 */
export async function bury(log: EventLog, stored: Stored, error: StepstreamError & { path?: string }): Promise<void> {
  const { subject, seq } = stored;
  const text = stored.text.length <= TEXT_MAX ? stored.text : shortened(stored.text);
  const letter: DeadLetter = {
    v: 1,
    type: "DeadLetter",
    code: error.code,
    message: error.message,
    ...(error.path ? { path: error.path } : {}),
    subject,
    seq,
    text,
    error: toFailure(error),
  };
  const parts = log.subjects.parse(subject);
  const slot = Number.isInteger(parts?.slot) ? parts!.slot! : 0;
  const grave = log.subjects.dead(parts?.step ?? "-", parts?.run ?? "-", slot);
  await log.append(grave, JSON.stringify(letter), { id: `dead.${subject}.${seq}` });
}
