/** What each file imports. */
type Imports = ReadonlyMap<string, readonly string[]>;
interface Import {
  readonly from: string;
  readonly to: string;
}

/**
 * Circles among imports.
 *
 * @param known - Imports that may close a circle.
 * @returns What is wrong: circles that need none of the known imports, and known imports that close none.
 */
export function circlesIn(imports: Imports, known: readonly Import[]): string[] {
  const without = (cut: readonly Import[]): Imports =>
    new Map(
      [...imports].map(([from, all]) => [
        from,
        all.filter((to) => !cut.some((one) => one.from === from && one.to === to)),
      ]),
    );
  const rest = without(known);
  const circles = componentsOf(rest).map(
    (files) =>
      `A circle of imports: ${circleIn(rest, files).join(" → ")}.\n` +
      "  Move what both sides need to a file of its own, import only the type, or pass it as an argument.",
  );
  const gone = known
    .filter((one) => {
      const others = without(known.filter((other) => other !== one));
      return (
        !componentsOf(others).some((files) => files.has(one.from) && files.has(one.to)) ||
        !imports.get(one.from)?.includes(one.to)
      );
    })
    .map(({ from, to }) => `${from} → ${to} closes no circle any more. Take it out of the known circles (KNOWN).`);
  return [...circles, ...gone];
}

/** The strongly connected components of more than one file, and the files that import themselves (R. Tarjan, 1972). */
function componentsOf(imports: Imports): Set<string>[] {
  const found = new Map<string, { index: number; low: number; open: boolean }>();
  const stack: string[] = [];
  const components: Set<string>[] = [];

  function visit(file: string): number {
    const state = { index: found.size, low: found.size, open: true };
    found.set(file, state);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      const there = found.get(next);
      if (!there) state.low = Math.min(state.low, visit(next));
      else if (there.open) state.low = Math.min(state.low, there.index);
    }
    if (state.low === state.index) {
      const files = stack.splice(stack.indexOf(file));
      for (const one of files) found.get(one)!.open = false;
      if (files.length > 1 || imports.get(file)?.includes(file)) components.push(new Set(files));
    }
    return state.low;
  }
  for (const file of imports.keys()) if (!found.has(file)) visit(file);
  return components;
}

/** The shortest way from a file of the component back to itself. */
function circleIn(imports: Imports, files: ReadonlySet<string>): string[] {
  const [start] = [...files] as [string];
  const ways = [[start]];
  const been = new Set<string>();
  for (const way of ways)
    for (const next of imports.get(way.at(-1)!) ?? []) {
      if (next === start) return [...way, start];
      if (!files.has(next) || been.has(next)) continue;
      been.add(next);
      ways.push([...way, next]);
    }
  throw new Error("A component has a circle.");
}
