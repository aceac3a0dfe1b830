/**
 * Circles among imports.
 *
 * @param {ReadonlyMap<string, readonly string[]>} imports - What each file imports.
 * @param {readonly { from: string, to: string }[]} known - Imports that may close a circle.
 * @returns {string[]} What is wrong: circles that need none of the known imports, and known imports that close none.
 */
export function circlesIn(imports, known) {
  const without = (/** @type {readonly { from: string, to: string }[]} */ cut) =>
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

/**
 * The strongly connected components of more than one file, and the files that import themselves (R. Tarjan, 1972).
 *
 * @param {ReadonlyMap<string, readonly string[]>} imports
 */
function componentsOf(imports) {
  /** @type {Map<string, { index: number, low: number, open: boolean }>} */
  const found = new Map();
  /** @type {string[]} */
  const stack = [];
  /** @type {Set<string>[]} */
  const components = [];

  /** @param {string} file */
  const visit = (file) => {
    const state = { index: found.size, low: found.size, open: true };
    found.set(file, state);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      const there = found.get(next);
      if (!there) state.low = Math.min(state.low, visit(next).low);
      else if (there.open) state.low = Math.min(state.low, there.index);
    }
    if (state.low === state.index) {
      const files = stack.splice(stack.indexOf(file));
      for (const one of files) /** @type {{ open: boolean }} */ (found.get(one)).open = false;
      if (files.length > 1 || imports.get(file)?.includes(file)) components.push(new Set(files));
    }
    return state;
  };
  for (const file of imports.keys()) if (!found.has(file)) visit(file);
  return components;
}

/**
 * The shortest way from a file of the component back to itself.
 *
 * @param {ReadonlyMap<string, readonly string[]>} imports
 * @param {ReadonlySet<string>} files
 */
function circleIn(imports, files) {
  const [start = ""] = files;
  const ways = [[start]];
  const been = new Set();
  for (const way of ways)
    for (const next of imports.get(/** @type {string} */ (way.at(-1))) ?? []) {
      if (next === start) return [...way, start];
      if (!files.has(next) || been.has(next)) continue;
      been.add(next);
      ways.push([...way, next]);
    }
  return [...files];
}
