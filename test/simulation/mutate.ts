import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mutation } from "./mutations.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Takes a rule out of the product's source as it is loaded: call it before anything of the product is
 * imported.
 *
 * @throws {Error} When loading, if a patch does not apply: the source has moved on, the table has not.
 */
export function takeOut({ rule, patches }: Mutation): void {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const file = url.startsWith("file:") ? fileURLToPath(url).slice(ROOT.length).replaceAll("\\", "/") : "";
      const wanted = patches.filter((patch) => patch.file === file);
      if (wanted.length === 0) return loaded;
      let source = String(
        typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source as Uint8Array),
      );
      for (const { from, to } of wanted) {
        if (!source.includes(from))
          throw new Error(`The rule "${rule}" cannot be taken out: ${file} has no\n  ${from}`);
        source = source.replace(from, () => to);
      }
      return { ...loaded, source };
    },
  });
}

/** @returns The patches that do not apply any more, also in files that nothing loads. */
export function staleIn({ rule, patches }: Mutation): string[] {
  return patches.flatMap(({ file, from, to }) => {
    try {
      if (from !== to && readFileSync(join(ROOT, file), "utf8").replaceAll("\r\n", "\n").includes(from)) return [];
    } catch {
      // Moved or removed.
    }
    return [`The rule "${rule}" cannot be taken out: ${file} has no\n  ${from}`];
  });
}
