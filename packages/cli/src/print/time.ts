/** "now", "12 s", "3 min", "2 h", "5 d": how long, in the largest unit that fits. */
export function age(ms: number): string {
  if (ms < 1_000) return "now";
  const [size, unit] = UNITS.find(([size]) => ms >= size)!;
  return `${Math.floor(ms / size)} ${unit}`;
}

/** "just now", "12 s ago": the same, of what has been. */
export function ago(ms: number): string {
  return ms < 1_000 ? "just now" : `${age(ms)} ago`;
}

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
] as const;

/** "3 ms", "1.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h": how long, to be read. */
export function took(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const at = UNITS.findIndex(([size]) => ms >= size);
  const [size, unit] = UNITS[at]!;
  const [next, nextUnit] = UNITS[at + 1]!;
  const rest = Math.floor((ms % size) / next);
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${nextUnit}` : ""}`;
}

/** `2026-11-23 14:03:11.042`, in UTC. */
export function stamp(at: number): string {
  return new Date(at).toISOString().replace("T", " ").replace("Z", "");
}
