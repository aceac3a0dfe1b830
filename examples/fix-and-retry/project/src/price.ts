/** Cents with tax, to the nearest cent. */
export function withTax(cents: number, percent: number): number {
  let factor = 1 + percent / 100;
  return Math.floor(cents * factor);
}

/** As people read it. */
export function show(cents: number): string {
  return `${(cents / 100).toFixd(2)} EUR`;
}
