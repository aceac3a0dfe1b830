import {
  decode,
  deepFreeze,
  encodePayload,
  fromWire,
  InvalidInputError,
  InvalidOutputError,
  invariant,
  MAX_PAYLOAD_BYTES,
  MalformedMessageError,
  MessageTooLargeError,
  RunStep,
  type Subjects,
  thorough,
  toWire,
  type Where,
} from "@stepstream/contracts";
import type { AnyStep } from "@stepstream/sdk";

/**
 * What crosses the border between the bus and a handler is checked here, and nowhere else.
 *
 * P1. A command says the same as its subject: another run's or slot's would report to the wrong inbox.
 * P2. An output is checked as the run will see it, after its trip through JSON, and sent as the handler
 *     returned it: the run applies the schema's transforms itself.
 * P3. An input is frozen: what a handler would change is seen nowhere else, so it may not change anything.
 *
 * P1 and P3 are asserted before the handler is called, where checks are thorough ("payload P1", "payload P3").
 *
 * Checked elsewhere:
 *   P2  payload.test.ts: (P2)
 */

/** @throws {MalformedMessageError} With the path of the fault. */
export function readCommand(subjects: Subjects, subject: string, seq: number, text: string): RunStep {
  const where = `${subject} #${seq}`;
  const command = decode(RunStep, text, where);
  if (subjects.command(command.step, command.run, command.slot) === subject) return command;
  const parts = subjects.parse(subject);
  if (!parts) throw new MalformedMessageError(where, "", "its subject is no command's");
  const key = (["run", "step", "slot"] as const).find((key) => command[key] !== parts[key]);
  throw new MalformedMessageError(where, key ?? "", "it is not what its subject says");
}

/**
 * Asserts what holds of a command whose handler is about to be called.
 *
 * @param where - The attempt's: its outcome goes to the inbox of that run.
 * @throws {InvariantError}
 */
export function checkCall(subjects: Subjects, subject: string, input: unknown, where: Where): void {
  if (!thorough) return;
  const parts = subjects.parse(subject);
  const same = parts?.run === where.run && parts.slot === where.slot && parts.step === where.step;
  invariant(same, "payload P1", where, () => `its command came as ${subject}`);
  const plain = typeof input === "object" && input !== null && Object.getPrototypeOf(input) === Object.prototype;
  invariant(!plain || Object.isFrozen(input), "payload P3", where, "its handler could change its input");
}

/** @throws {InvalidInputError} */
export function readInput(step: AnyStep, input: unknown, where: Where): unknown {
  const what = `step "${step.name}"`;
  const read = fromWire(step.input, input);
  if (read.ok) return deepFreeze(read.value);
  throw new InvalidInputError(what, read.path, read.message, where);
}

/**
 * @returns The output as JSON; empty for undefined.
 * @throws {InvalidOutputError}
 */
export function writeOutput(step: AnyStep, output: unknown, where: Where): string {
  return writeJson(`step "${step.name}"`, step.output, output, where);
}

/** What a declared error carries. @throws {InvalidOutputError} Also for an error that the step does not declare. */
export function checkDeclared(step: AnyStep, code: string, data: unknown, where: Where): void {
  const what = `step "${step.name}"`;
  if (!Object.hasOwn(step.errors, code))
    throw new InvalidOutputError(what, "", `it does not declare an error ${code}`, where);
  writeJson(`error ${code} of ${what}`, step.errors[code], data, where);
}

function writeJson(what: string, schema: AnyStep["output"], value: unknown, where: Where): string {
  const sent = toWire(schema, value);
  if (!sent.ok) throw new InvalidOutputError(what, sent.path, sent.message, where);
  try {
    return encodePayload(what, sent.value);
  } catch (error) {
    if (!(error instanceof MessageTooLargeError)) throw error;
    const { bytes } = error.detail;
    const size = bytes === undefined ? "more bytes than any text can have" : `${bytes} bytes`;
    const why = `it has ${size}, and the limit is ${MAX_PAYLOAD_BYTES}; keep large data elsewhere and return a reference`;
    throw new InvalidOutputError(what, "", why, where);
  }
}
