import type { z } from "zod";

/**
 * What can be told of a schema without running it.
 *
 *   mayBeAsync(schema)    does it hold code of a user's that may return a promise?
 *   schemaFault(schema)   why it can describe no value that is sent, and where; undefined if it can
 */

/** Schemas whose values no process can send to another. */
const UNSENDABLE: ReadonlySet<string> = new Set(["symbol", "function", "promise", "file"]);
const ASYNC = "async schemas are not supported. Check in a step what takes time to check";

const known = new WeakMap<z.ZodType, boolean>();

export function mayBeAsync(schema: z.ZodType): boolean {
  let answer = known.get(schema);
  if (answer === undefined) {
    answer = false;
    try {
      walk(schema, (node) => (answer ||= hasUserCode(node)));
    } catch {
      answer = true;
    }
    known.set(schema, answer);
  }
  return answer;
}

/** @param schema - What JavaScript code passed as one. */
export function schemaFault(schema: unknown): { path: PropertyKey[]; message: string } | undefined {
  if (!isSchema(schema)) {
    const what = schema === undefined ? "it is missing" : "it is not a schema of zod 4";
    return { path: [], message: `${what}. Use a schema such as z.object({ … })` };
  }
  let fault: { path: PropertyKey[]; message: string } | undefined;
  const look = (node: z.ZodType, path: PropertyKey[], sent: boolean) => {
    if (fault) return;
    if (sent && UNSENDABLE.has(node._zod.def.type))
      fault = { path, message: `a value of z.${node._zod.def.type}() cannot be sent. Use a schema of plain data` };
    else if (functionsOf(node).some(isAsyncFunction)) fault = { path, message: ASYNC };
  };
  try {
    walk(schema, look);
  } catch {
    // It refers to what is not defined yet. When it runs, it is contained.
  }
  return fault;
}

function isSchema(value: unknown): value is z.ZodType {
  try {
    return typeof (value as z.ZodType | undefined)?._zod?.run === "function";
  } catch {
    return false;
  }
}

type Def = Record<string, unknown> & { type: string; checks?: readonly z.core.$ZodCheck[] };

function hasUserCode(node: z.ZodType): boolean {
  const { type, checks = [], transform } = node._zod.def as unknown as Def;
  return (
    type === "custom" ||
    type === "transform" ||
    type === "promise" ||
    type === "function" ||
    transform !== undefined ||
    checks.some((check) => check._zod.def.check === "custom")
  );
}

function functionsOf(node: z.ZodType): unknown[] {
  const def = node._zod.def as unknown as Def;
  const checks = (def.checks ?? []).flatMap((check) => [check._zod.check, ...Object.values(check._zod.def)]);
  return [...Object.values(Object.getOwnPropertyDescriptors(def)).map(({ value }) => value), ...checks];
}

function isAsyncFunction(value: unknown): boolean {
  return typeof value === "function" && Object.prototype.toString.call(value) === "[object AsyncFunction]";
}

/**
 * Visits a schema and those it is made of, each once. What is not defined yet (`z.lazy` of a later constant) is left out.
 *
 * @param visit.sent - Does the value travel in this form? Not what comes after a transform.
 */
function walk(root: z.ZodType, visit: (node: z.ZodType, path: PropertyKey[], sent: boolean) => void): void {
  const visited = new Set<z.ZodType>();
  const queue: { node: z.ZodType; path: PropertyKey[]; sent: boolean }[] = [{ node: root, path: [], sent: true }];
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { node, path, sent } = next;
    if (visited.has(node)) continue;
    visited.add(node);
    visit(node, path, sent);
    const def = node._zod.def as unknown as Def;
    const add = (child: unknown, key?: PropertyKey, travels = sent) => {
      if (isSchema(child)) queue.push({ node: child, path: key === undefined ? path : [...path, key], sent: travels });
    };
    if (def.type === "pipe") {
      add(def.in);
      add(def.out, undefined, false);
      continue;
    }
    if (def.type === "lazy") {
      if (typeof def.getter === "function") add(attempt(() => (def.getter as () => unknown)()));
      continue;
    }
    for (const name of Object.keys(def)) {
      const part = def[name];
      if (name === "shape") {
        const shape = part as Record<string, unknown>;
        for (const key of Object.keys(shape))
          add(
            attempt(() => shape[key]),
            key,
          );
      } else if (Array.isArray(part))
        for (const [i, item] of part.entries()) add(item, def.type === "tuple" ? i : undefined);
      else add(part);
    }
    for (const check of def.checks ?? []) add((check._zod.def as unknown as Def).schema);
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
