/** A value as it stands in an error's message. Never throws, never long. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "(a function)";
    case "symbol":
      return "(a symbol)";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "(an array)" : "(an object)";
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}
