import { AsyncLocalStorage } from "node:async_hooks";
import { z } from "zod";
import { pathOf } from "./codec.ts";
import { isInstance, toFailure } from "./failure.ts";
import { mayBeAsync } from "./schema-walk.ts";
import { decodeValue, encodeValue, UnsendableError } from "./value-codec.ts";

/**
 * The border between values and schemas of users, and the bus. Nothing else calls a schema of a user's.
 *
 *   toWire(schema, value)  -> JSON     what a process sends
 *   fromWire(schema, json) -> value    what a process received
 *   checkValue(schema, value)          the schema alone
 *
 * V1. None of them throws, whatever the schema does: one that throws, or is async, makes the value invalid.
 * V2. What is sent is the value as it was given; each side applies the transforms of the schema itself.
 * V3. What is checked before sending is the value that the receiver will have.
 *
 * Checked elsewhere:
 *   V1  values.test.ts: (V1)
 *   V2  values.test.ts: (V2)
 *   V3  values.test.ts: (V3)
 */
export type Checked<T = unknown> = { readonly ok: true; readonly value: T } | Invalid;
export interface Invalid {
  readonly ok: false;
  /** Where, e.g. `lines[3].cents`; empty for the whole of it. */
  readonly path: string;
  readonly message: string;
}

const ASYNC = "its schema is async, and async schemas are not supported. Check in a step what takes time to check";

const schemaCode = new AsyncLocalStorage<true>();

/** Is this code that a schema has started, and that goes on after the check? What becomes of it changes nothing. */
export function isSchemaCode(): boolean {
  return schemaCode.getStore() !== undefined;
}

/** @returns What the schema makes of the value. */
export function checkValue(schema: z.ZodType, value: unknown): Checked<any> {
  try {
    if (!mayBeAsync(schema)) {
      const read = schema.safeParse(value);
      return read.success ? { ok: true, value: read.data } : invalidBy(read.error.issues[0]!);
    }
    // As safeParse does it, but so that what is async gives its promise: one that rejects unheard would end the process.
    const context = { async: true };
    const payload = schemaCode.run(true, () => schema._zod.run({ value, issues: [] }, context));
    if (payload instanceof Promise) {
      payload.catch(() => {});
      return { ok: false, path: "", message: ASYNC };
    }
    if (payload.issues.length === 0) return { ok: true, value: payload.value };
    return invalidBy(z.core.util.finalizeIssue(payload.issues[0]!, context, z.core.config()));
  } catch (thrown) {
    if (isInstance(thrown, z.core.$ZodAsyncError)) return { ok: false, path: "", message: ASYNC };
    return { ok: false, path: "", message: `its schema threw (${toFailure(thrown).message})` };
  }
}

/**
 * Checks a value before it is sent.
 *
 * @param schema - Absent where the sender does not have it: then only that the value can be sent is checked.
 * @returns The JSON to send; undefined for undefined.
 */
export function toWire(schema: z.ZodType | undefined, value: unknown): Checked {
  try {
    const json = encodeValue(value);
    if (schema) {
      const read = checkValue(schema, json === value ? value : decodeValue(json));
      if (!read.ok) return read;
    }
    return { ok: true, value: json };
  } catch (error) {
    return invalidValue(error);
  }
}

/** Reads and checks a value that was received. Without a schema it is not checked. */
export function fromWire(schema: z.ZodType | undefined, json: unknown): Checked<any> {
  try {
    const value = decodeValue(json);
    return schema ? checkValue(schema, value) : { ok: true, value };
  } catch (error) {
    return invalidValue(error);
  }
}

function invalidValue(error: unknown): Invalid {
  if (error instanceof UnsendableError) return { ok: false, path: pathOf(error.path), message: error.message };
  throw error;
}

function invalidBy({ path, message }: { path: readonly PropertyKey[]; message: string }): Invalid {
  return { ok: false, path: pathOf(path), message: String(message) };
}
