import { types } from "node:util";
import { Failure, fromFailure, toFailure } from "./failure.ts";
import { isDeeper, MAX_DEPTH, MAX_KEYS } from "./limits.ts";

/**
 * Values as JSON.
 *
 *   encodeValue(value) -> JSON    what JSON has no form for becomes an object with a "$type"
 *   decodeValue(json)  -> value   the inverse
 *
 * E1. decodeValue(JSON.parse(JSON.stringify(encodeValue(x)))) equals x, except that keys whose value is undefined are
 *     left out. What cannot be kept is refused with its path; nothing is changed silently.
 * E2. A value that JSON carries as it is travels as it is: the same object, nothing is copied.
 * E3. An object of the user's that has a key "$type" is never mistaken for a tag: it is wrapped in one.
 * E4. Whatever is passed in, the only error thrown is an UnsendableError. Nesting is limited, so the stack never overflows.
 *
 * Checked elsewhere:
 *   E1  value-codec.test.ts: (E1)
 *   E2  value-codec.test.ts: (E2)
 *   E3  value-codec.test.ts: an object with a $type that is an object
 *   E4  value-codec.test.ts: (E4)
 */
export class UnsendableError extends Error {
  readonly path: readonly PropertyKey[];
  constructor(path: readonly PropertyKey[], why: string) {
    super(why);
    this.path = path;
  }
}

const TAG = "$type";
const TOO_DEEP = `it is nested more than ${MAX_DEPTH} levels deep`;

const TOO_MANY_KEYS = `it has more than ${MAX_KEYS} keys. Send an array, or parts of it`;

/** @throws {UnsendableError} */
export function encodeValue(value: unknown): unknown {
  if (value === undefined || isPlain(value, MAX_DEPTH)) return value;
  const encoder = new Encoder();
  try {
    return encoder.encode(value, 0);
  } catch (error) {
    if (error instanceof UnsendableError) throw error;
    throw new UnsendableError([...encoder.path], "it could not be read, because a getter threw");
  }
}

/**
 * @param json - What JSON.parse returned. Not changed; parts of it are parts of the result.
 * @throws {UnsendableError} A tag whose value does not fit it, or too many levels.
 */
export function decodeValue(json: unknown): unknown {
  try {
    return decode(json, 0, undefined);
  } catch {
    // Once more, to learn where.
    return decode(json, 0, []);
  }
}

// ---------------------------------------------------------------- encode

/** Does JSON carry it without a change? Allocates nothing: this is what nearly every value goes through. */
function isPlain(value: unknown, levels: number): boolean {
  try {
    return isPlainAt(value, levels);
  } catch {
    return false;
  }
}

function isPlainAt(value: unknown, levels: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return value - value === 0 && (value !== 0 || 1 / value > 0);
    case "object": {
      if (value === null) return true;
      if (levels === 0 || types.isProxy(value)) return false;
      if (Array.isArray(value)) {
        if (Object.getPrototypeOf(value) !== Array.prototype || "toJSON" in value) return false;
        for (let i = 0; i < value.length; i++) if (!isPlainAt(value[i], levels - 1)) return false;
        return true;
      }
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return false;
      let keys = 0;
      for (const key in value)
        if (key === TAG || ++keys > MAX_KEYS || !isPlainAt((value as any)[key], levels - 1)) return false;
      return Object.getOwnPropertySymbols(value).length === 0;
    }
    default:
      return false;
  }
}

class Encoder {
  /** Where it is. */
  readonly path: PropertyKey[] = [];
  readonly #above = new Set<object>();

  encode(value: unknown, level: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return value - value === 0 && !Object.is(value, -0) ? value : tagged("Number", spell(value));
      case "bigint":
        return tagged("BigInt", String(value));
      case "undefined":
        return { [TAG]: "Undefined" };
      case "object":
        return value === null ? null : this.#object(value, level);
      default:
        return this.#refuse(`a ${typeof value} cannot be sent`);
    }
  }

  #object(value: object, level: number): unknown {
    if (this.#above.has(value)) return this.#refuse("it contains itself");
    if (level >= MAX_DEPTH) return this.#refuse(TOO_DEEP);
    this.#above.add(value);
    const json = this.#kind(value, level + 1);
    this.#above.delete(value);
    return json;
  }

  #kind(value: object, level: number): unknown {
    if (types.isProxy(value)) return this.#refuse("a Proxy cannot be sent. Send a copy of what it stands for");
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === null || isObjectPrototype(prototype)) return this.#plain(value, level);
    if (Array.isArray(value) && owns(prototype, "copyWithin") && !("toJSON" in value)) return this.#items(value, level);
    if (types.isDate(value) && owns(prototype, "toISOString")) {
      if (Number.isNaN(Date.prototype.getTime.call(value))) return this.#refuse("an invalid Date cannot be sent");
      return tagged("Date", Date.prototype.toISOString.call(value));
    }
    // A tag and its list are two levels.
    if (types.isMap(value) && owns(prototype, "set"))
      return tagged("Map", this.#items([...Map.prototype.entries.call(value)], level + 1));
    if (types.isSet(value) && owns(prototype, "add"))
      return tagged("Set", this.#items([...Set.prototype.values.call(value)], level + 1));
    if (Buffer.isBuffer(value)) return { ...tagged("Bytes", value.toString("base64")), as: "Buffer" };
    if (types.isUint8Array(value) && owns(prototype, "BYTES_PER_ELEMENT"))
      return tagged("Bytes", Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64"));
    if (types.isArrayBuffer(value) && owns(prototype, "byteLength"))
      return { ...tagged("Bytes", Buffer.from(value).toString("base64")), as: "ArrayBuffer" };
    if (types.isNativeError(value)) {
      const failure = toFailure(value);
      return isDeeper(failure, MAX_DEPTH - level) ? this.#refuse(TOO_DEEP) : tagged("Error", failure);
    }
    return this.#refuse(`${nameOf(prototype)} cannot be sent. Send a plain object with what it holds`);
  }

  #plain(value: object, level: number): unknown {
    if (Object.getOwnPropertySymbols(value).length > 0) return this.#refuse("a key that is a symbol cannot be sent");
    const json: Record<string, unknown> = {};
    const own = Object.hasOwn(value, TAG);
    const keys = Object.keys(value);
    if (keys.length > MAX_KEYS) return this.#refuse(TOO_MANY_KEYS);
    for (const key of keys) {
      this.path.push(key);
      const field = (value as Record<string, unknown>)[key];
      if (field !== undefined) put(json, key, this.encode(field, own ? level + 1 : level));
      this.path.pop();
    }
    return Object.hasOwn(json, TAG) ? tagged("Object", json) : json;
  }

  #items(list: readonly unknown[], level: number): unknown[] {
    const json = new Array<unknown>(list.length);
    for (let i = 0; i < list.length; i++) {
      if (!(i in list)) {
        this.path.push(i);
        return this.#refuse("an array with a hole cannot be sent. Put undefined or null there");
      }
      json[i] = this.#at(i, list[i], level);
    }
    return json;
  }

  #at(index: number, value: unknown, level: number): unknown {
    this.path.push(index);
    const json = this.encode(value, level);
    this.path.pop();
    return json;
  }

  #refuse(why: string): never {
    throw new UnsendableError([...this.path], why);
  }
}

function tagged(type: string, value: unknown): Record<string, unknown> {
  return { [TAG]: type, value };
}

function spell(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** Also of another realm, such as the one that a test runner makes. */
function isObjectPrototype(prototype: object): boolean {
  if (prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

/** Tells the prototype of a built-in class from that of a class that extends it, in any realm. */
function owns(prototype: object, key: string): boolean {
  return Object.hasOwn(prototype, key);
}

function nameOf(prototype: object): string {
  const name: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value?.name;
  return typeof name === "string" && name ? `an instance of ${name}` : "an object with a prototype of its own";
}

/** Like assignment, but safe with a key such as `__proto__`. */
function put(target: object, key: string, value: unknown): void {
  if (key !== "__proto__") (target as Record<string, unknown>)[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

// ---------------------------------------------------------------- decode

type Path = PropertyKey[];
type Tagged = { readonly value: unknown; readonly as?: unknown };

function decode(json: unknown, level: number, path: Path | undefined): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (level >= MAX_DEPTH) throw new UnsendableError(path ?? [], TOO_DEEP);
  if (Array.isArray(json)) return decodeItems(json, level, path);
  const type = Object.hasOwn(json, TAG) ? (json as Record<string, unknown>)[TAG] : undefined;
  if (type === "Undefined") return undefined;
  if (typeof type === "string" && Object.hasOwn(TAGS, type) && "value" in json) {
    const { value, as } = json as Tagged;
    const decoded = TAGS[type]!(value, level + 1, path, as);
    if (decoded === MALFORMED)
      throw new UnsendableError(path ?? [], `its "$type" is "${type}", but its value is not one`);
    return decoded;
  }
  return decodeFields(json as Record<string, unknown>, level, path);
}

function decodeItems(json: readonly unknown[], level: number, path: Path | undefined): unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < json.length; i++) {
    const item = json[i];
    if (typeof item !== "object" || item === null) continue;
    path?.push(i);
    const value = decode(item, level + 1, path);
    path?.pop();
    if (value === item) continue;
    copy ??= json.slice();
    copy[i] = value;
  }
  return copy ?? (json as unknown[]);
}

function decodeFields(json: Record<string, unknown>, level: number, path: Path | undefined): object {
  let copy: Record<string, unknown> | undefined;
  let keys = 0;
  for (const key in json) {
    if (++keys > MAX_KEYS) throw new UnsendableError(path ?? [], TOO_MANY_KEYS);
    const field = json[key];
    if (typeof field !== "object" || field === null) continue;
    path?.push(key);
    const value = decode(field, level + 1, path);
    path?.pop();
    if (value === field) continue;
    copy ??= { ...json };
    put(copy, key, value);
  }
  return copy ?? json;
}

const MALFORMED = Symbol("malformed");
const NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Infinity,
  "-Infinity": -Infinity,
  "-0": -0,
};
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What is behind each tag. Any other "$type" is a key of the user's. */
const TAGS: Readonly<
  Record<string, (value: unknown, level: number, path: Path | undefined, as: unknown) => unknown | typeof MALFORMED>
> = {
  Date(value) {
    const date = new Date(typeof value === "string" ? value : Number.NaN);
    return Number.isNaN(date.getTime()) ? MALFORMED : date;
  },
  BigInt: (value) => (typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : MALFORMED),
  Number: (value) => (typeof value === "string" && Object.hasOwn(NUMBERS, value) ? NUMBERS[value] : MALFORMED),
  Map(value, level, path) {
    if (!Array.isArray(value) || !value.every((entry) => Array.isArray(entry) && entry.length === 2)) return MALFORMED;
    return new Map(decodeItems(value, level, path) as [unknown, unknown][]);
  },
  Set: (value, level, path) => (Array.isArray(value) ? new Set(decodeItems(value, level, path)) : MALFORMED),
  Bytes(value, _level, _path, as) {
    if (typeof value !== "string" || !BASE64.test(value)) return MALFORMED;
    const bytes = Buffer.from(value, "base64");
    if (as === "Buffer") return bytes;
    const copy = new Uint8Array(bytes);
    return as === "ArrayBuffer" ? copy.buffer : copy;
  },
  Error(value) {
    const failure = Failure.safeParse(value);
    return failure.success ? fromFailure(failure.data) : MALFORMED;
  },
  /** An object whose key "$type" is the user's. */
  Object(value, level, path) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return MALFORMED;
    if (level >= MAX_DEPTH) throw new UnsendableError(path ?? [], TOO_DEEP);
    return decodeFields(value as Record<string, unknown>, level, path);
  },
};
