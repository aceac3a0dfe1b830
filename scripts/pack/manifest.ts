/**
 * What a package's manifest says once it is packed.
 *
 * In the workspace `exports` and `bin` name TypeScript sources, which Node.js runs as they are. It does not do so inside
 * node_modules, so a packed one names what the compiler made of them: `./src/x.ts` → `./dist/x.js`, with its types.
 */

export interface Manifest {
  name: string;
  version: string;
  private?: boolean;
  description?: string;
  files?: string[];
  bin?: Record<string, string>;
  exports?: Record<string, string>;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  [more: string]: unknown;
}

export interface Versions {
  /** Of the packages of the workspace, by name. */
  workspace: Readonly<Record<string, string>>;
  /** Of pnpm-workspace.yaml. */
  catalog: Readonly<Record<string, string>>;
}

/** @throws {Error} A dependency is on a package that is not packed, or on nothing in the catalog. */
export function packedManifest(manifest: Manifest, versions: Versions): Record<string, unknown> {
  const { devDependencies: _, scripts: __, exports, bin, dependencies, peerDependencies, ...rest } = manifest;
  const resolve = (dependency: string, range: string) => rangeOf(manifest.name, dependency, range, versions);
  return {
    ...rest,
    ...(bin && { bin: mapped(bin, (_, path) => inDist(path, ".js")) }),
    ...(exports && { exports: mapped(exports, (_, path) => exported(path)) }),
    ...(dependencies && { dependencies: mapped(dependencies, resolve) }),
    ...(peerDependencies && { peerDependencies: mapped(peerDependencies, resolve) }),
  };
}

function exported(path: string): string | { types: string; default: string } {
  if (!path.endsWith(".ts")) return path;
  return { types: inDist(path, ".d.ts"), default: inDist(path, ".js") };
}

function inDist(path: string, extension: string): string {
  return path.replace(/^\.\/src\/(.*)\.ts$/, `./dist/$1${extension}`);
}

function rangeOf(from: string, dependency: string, range: string, { workspace, catalog }: Versions): string {
  if (!range.startsWith("workspace:") && !range.startsWith("catalog:")) return range;
  const found = (range === "workspace:*" ? workspace : range === "catalog:" ? catalog : {})[dependency];
  if (!found) throw new Error(`${from} depends on ${dependency} as ${range}, and there is no such version.`);
  return found;
}

function mapped<A, B>(record: Record<string, A>, fn: (key: string, value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(key, value)]));
}
