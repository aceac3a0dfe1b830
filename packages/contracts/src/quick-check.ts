import type { z } from "zod";

/**
 * Whether a message of ours is plainly what its schema says, without a copy of it: nearly every message on the bus is. zod
 * remains the judge of all others, and the one that says what is wrong.
 *
 *   quickCheck(schema)(value) -> true     the schema takes the value as it is
 *                             -> false    it may or may not: ask the schema
 *
 * Q1. What it says true of, the schema takes, and the value that the schema returns is equal to it.
 *
 * It writes JavaScript from the schema once, as zod does. Where code may not be made from strings it is always false.
 *
 * Checked elsewhere:
 *   Q1  quick-check.test.ts: (Q1)
 */
export function quickCheck(schema: z.ZodType): (value: unknown) => boolean {
  let check = known.get(schema);
  if (!check) {
    check = compile(schema);
    known.set(schema, check);
  }
  return check;
}

const known = new WeakMap<z.ZodType, (value: unknown) => boolean>();

/** What this file does not know: transforms, defaults, refinements, records, recursion. */
class Unsupported extends Error {}

type Def = Record<string, any> & { readonly type: string };

function compile(schema: z.ZodType): (value: unknown) => boolean {
  try {
    const source = new Source();
    const check = source.expression(schema, "v");
    return new Function("c", `return (v) => ${check};`)(source.constants);
  } catch {
    return () => false;
  }
}

class Source {
  /** What the code refers to as `c[0]`, `c[1]` and so on: patterns, and the checks of objects. */
  readonly constants: unknown[] = [];
  /** The objects that hold what is being written: one that holds itself has no end. */
  readonly #above = new Set<Def>();

  /** @param v - The variable that holds the value. @throws {Unsupported} */
  expression(schema: z.ZodType, v: string): string {
    const def = schema._zod.def as unknown as Def;
    switch (def.type) {
      case "unknown":
        return "true";
      case "boolean":
        return `typeof ${v} === "boolean"${this.#none(def)}`;
      case "string":
        return `typeof ${v} === "string"${this.#checks(def, v)}`;
      case "number":
        return `typeof ${v} === "number" && ${v} - ${v} === 0${this.#checks(def, v)}`;
      case "literal":
        return this.#oneOf(def.values, v);
      case "enum":
        return this.#oneOf(Object.values(def.entries), v);
      case "array": {
        const item = this.#function(`return ${this.expression(def.element, "v")};`);
        return `Array.isArray(${v}) && ${v}.every(${item})${this.#none(def)}`;
      }
      case "object":
        return `${this.#object(def)}(${v})`;
      case "union":
        return `${this.#union(def)}(${v})`;
      default:
        throw new Unsupported(def.type);
    }
  }

  #object(def: Def): string {
    if (def.catchall) throw new Unsupported("an object with other keys");
    if (this.#above.has(def)) throw new Unsupported("an object in itself");
    this.#none(def);
    this.#above.add(def);
    let keys: string[];
    try {
      keys = Object.entries<z.ZodType>(def.shape).map(([key, schema]) => this.#field(key, schema));
    } finally {
      this.#above.delete(def);
    }
    return this.#function(
      `if (typeof v !== "object" || v === null || Array.isArray(v)) return false;
      let fields = 0, keys = 0;
      ${keys.join("\n")}
      for (const _ in v) keys++;
      return keys === fields;`,
    );
  }

  #field(key: string, schema: z.ZodType): string {
    const def = schema._zod.def as unknown as Def;
    const optional = def.type === "optional";
    const value = `v[${JSON.stringify(key)}]`;
    try {
      const check = this.expression(optional ? def.innerType : schema, "f");
      const absent = optional ? "" : "else return false;";
      return `{ const f = ${value}; if (f !== undefined) { if (!(${check})) return false; fields++; } ${absent} }`;
    } catch (error) {
      if (!(error instanceof Unsupported && optional)) throw error;
      return `if (${value} !== undefined) return false;`;
    }
  }

  #union({ discriminator, options }: Def): string {
    if (typeof discriminator !== "string") throw new Unsupported("a union of any kind");
    const cases = (options as z.ZodType[]).map((option) => {
      const { shape } = option._zod.def as unknown as Def;
      const name = JSON.stringify(shape[discriminator]._zod.def.values[0]);
      return `case ${name}: return ${this.#orFalse(option)};`;
    });
    return this.#function(
      `if (typeof v !== "object" || v === null) return false;
      switch (v[${JSON.stringify(discriminator)}]) { ${cases.join("\n")} default: return false; }`,
    );
  }

  #orFalse(schema: z.ZodType): string {
    try {
      return this.expression(schema, "v");
    } catch (error) {
      if (error instanceof Unsupported) return "false";
      throw error;
    }
  }

  #checks(def: Def, v: string): string {
    // `z.int()` is a number that is a check itself.
    const all: Def[] = [...(def.check ? [def] : []), ...(def.checks ?? []).map((check: z.ZodType) => check._zod.def)];
    return all.map((check) => ` && ${this.#check(check, v)}`).join("");
  }

  #check(check: Def, v: string): string {
    switch (check.check) {
      case "min_length":
        return `${v}.length >= ${check.minimum}`;
      case "max_length":
        return `${v}.length <= ${check.maximum}`;
      case "greater_than":
        return `${v} >${check.inclusive ? "=" : ""} ${finite(check.value)}`;
      case "less_than":
        return `${v} <${check.inclusive ? "=" : ""} ${finite(check.value)}`;
      case "number_format":
        if (check.format === "safeint") return `Number.isSafeInteger(${v})`;
        break;
      case "string_format":
        if (check.format === "regex" && /^[imsu]*$/.test(check.pattern.flags))
          return `${this.#constant(check.pattern)}.test(${v})`;
    }
    throw new Unsupported(`${check.check}`);
  }

  #none(def: Def): string {
    if ((def.checks?.length ?? 0) > 0) throw new Unsupported("a refinement");
    return "";
  }

  #oneOf(values: readonly unknown[], v: string): string {
    if (values.some((value) => !["string", "number", "boolean"].includes(typeof value)))
      throw new Unsupported("literal");
    return `(${values.map((value) => `${v} === ${JSON.stringify(value)}`).join(" || ")})`;
  }

  #function(body: string): string {
    return this.#constant(new Function("c", `return (v) => { ${body} };`)(this.constants));
  }

  #constant(value: unknown): string {
    return `c[${this.constants.push(value) - 1}]`;
  }
}

function finite(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Unsupported("a bound that is no number");
  return value;
}
