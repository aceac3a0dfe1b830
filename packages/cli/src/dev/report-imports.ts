/**
 * Loaded before a program (`node --import`): tells the parent which files it is made of, over the channel between them.
 *
 * Told are the files of modules outside node_modules, each once, before they are read: so that one with a fault in it is
 * among them, and one that is not there yet.
 */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const told = new Set<string>();

registerHooks({
  resolve(specifier, context, next) {
    try {
      const resolved = next(specifier, context);
      tell(resolved.url);
      return resolved;
    } catch (error) {
      tell((error as { url?: string }).url ?? "");
      throw error;
    }
  },
});

function tell(url: string): void {
  if (!url.startsWith("file:") || url.includes("/node_modules/") || told.has(url)) return;
  told.add(url);
  process.send?.({ file: fileURLToPath(url) });
}
