/**
 * Compares two values as their recipient sees them. It shares no code with the codec.
 *
 * V1. NaN equals NaN; 0 and -0 differ; a Date, a string and a number differ.
 * V2. Keys of an object whose value is undefined do not count, since they are not sent; in lists, maps and sets undefined does.
 * V3. Errors are equal if their messages are: which class arrives depends on who knows it.
 */
export function sameValue(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (one instanceof Error || other instanceof Error)
    return one instanceof Error && other instanceof Error && one.message === other.message;
  if (one.constructor !== other.constructor && (one.constructor ?? Object) !== (other.constructor ?? Object))
    return false;
  if (one instanceof Date) return Object.is(one.getTime(), (other as Date).getTime());
  if (one instanceof Map) return sameList([...one].flat(), [...(other as typeof one)].flat());
  if (one instanceof Set) return sameList([...one], [...(other as typeof one)]);
  if (one instanceof ArrayBuffer) return sameList([...new Uint8Array(one)], [...new Uint8Array(other as ArrayBuffer)]);
  if (Array.isArray(one) || one instanceof Uint8Array) return sameList([...one], [...(other as unknown[])]);
  return sameFields(one as Record<string, unknown>, other as Record<string, unknown>);
}

function sameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, i) => sameValue(item, other[i]));
}

function sameFields(one: Record<string, unknown>, other: Record<string, unknown>): boolean {
  const keys = (of: Record<string, unknown>) => Object.keys(of).filter((key) => of[key] !== undefined);
  const mine = keys(one);
  return mine.length === keys(other).length && mine.every((key) => sameValue(one[key], other[key]));
}
