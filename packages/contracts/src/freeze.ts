/**
 * Freezes plain objects and arrays, through and through: what a workflow or a handler is given is part of a history, and
 * nothing changes that. Dates, bytes and instances of classes are left as they are, since freezing does not keep them from
 * being changed; of maps and sets, what is in them is frozen.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (Array.isArray(value)) {
    for (const item of value) deepFreeze(item);
  } else if (value instanceof Map) {
    for (const [key, item] of value) void [deepFreeze(key), deepFreeze(item)];
    return value;
  } else if (value instanceof Set) {
    for (const item of value) deepFreeze(item);
    return value;
  } else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return value;
    for (const key in value) deepFreeze(value[key]);
  }
  return Object.freeze(value);
}
