import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, LogLevel, type TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What users import, in the order in which they meet it: its name, and where it is. */
const ENTRIES = {
  "@stepstream/sdk": "packages/sdk/src/index.ts",
  "@stepstream/sdk/schedule": "packages/sdk/src/schedule/index.ts",
  "@stepstream/coordinator": "services/coordinator/src/index.ts",
  "@stepstream/step-worker": "services/step-worker/src/index.ts",
  "@stepstream/testing": "packages/testing/src/index.ts",
} as const;

/**
 * The reference of the API, from the docstrings.
 *
 * @returns By file name, e.g. `sdk.md`, the page.
 * @throws {Error} TypeDoc could not read the code.
 */
export async function apiPages(): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  for (const [name, entry] of Object.entries(ENTRIES)) {
    const file = `${name.replace("@stepstream/", "").replace("/", "-")}.md`;
    pages.set(file, await pageOf(name, entry, file));
  }
  return pages;
}

async function pageOf(name: string, entry: string, file: string): Promise<string> {
  const out = await mkdtemp(join(tmpdir(), "stepstream-api-"));
  const options: Partial<TypeDocOptions & PluginOptions> = {
    entryPoints: [join(ROOT, entry)],
    tsconfig: join(ROOT, "docs/tools/tsconfig.json"),
    plugin: ["typedoc-plugin-markdown"],
    name,
    out,
    router: "module",
    entryFileName: file,
    readme: "none",
    disableSources: true,
    excludePrivate: true,
    excludeInternal: true,
    excludeExternals: true,
    groupOrder: ["Functions", "Classes", "Interfaces", "Type Aliases", "Variables"],
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: "table",
    interfacePropertiesFormat: "table",
    propertiesFormat: "table",
    typeDeclarationFormat: "table",
    logLevel: LogLevel.Error,
    // Another version of the compiler has checked it.
    skipErrorChecking: true,
  };
  try {
    const app = await Application.bootstrapWithPlugins(options as Partial<TypeDocOptions>);
    const project = await app.convert();
    if (!project) throw new Error(`TypeDoc could not read ${entry}.`);
    await app.generateOutputs(project);
    return await readFile(join(out, file), "utf8");
  } finally {
    await rm(out, { recursive: true });
  }
}
