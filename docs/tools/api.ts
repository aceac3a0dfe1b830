import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, LogLevel, type TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What users import, in the order in which they meet it: its name, and where it is. */
const ENTRIES = {
  "@stepstream/sdk": "packages/sdk/src/index.ts",
  "@stepstream/sdk/schedule": "packages/sdk/src/schedule/index.ts",
  "@stepstream/coordinator": "services/coordinator/src/index.ts",
  "@stepstream/step-worker": "services/step-worker/src/index.ts",
  "@stepstream/testing": "packages/testing/src/index.ts",
} as const;

/** Every page has a program, and so its types, of its own; but a file is parsed once for all. */
const parsed = new Map<string, ts.SourceFile | undefined>();

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
    const compilerOptions = app.options.getCompilerOptions(app.logger);
    const program = ts.createProgram(app.options.getFileNames(), compilerOptions, hostFor(compilerOptions));
    const sourceFile = program.getSourceFile(join(ROOT, entry));
    if (!sourceFile) throw new Error(`TypeDoc could not read ${entry}.`);
    const project = app.converter.convert([{ displayName: name, program, sourceFile }]);
    await app.generateOutputs(project);
    return (await readFile(join(out, file), "utf8")).replaceAll(CHECKED_ELSEWHERE, "");
  } finally {
    await rm(out, { recursive: true });
  }
}

/** The list of tests below numbered promises: for those who change the code. */
const CHECKED_ELSEWHERE = /\nChecked elsewhere:\n(?: {2}.*\n)+/g;

function hostFor(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (file, ...more) => {
    if (!parsed.has(file)) parsed.set(file, getSourceFile(file, ...more));
    return parsed.get(file);
  };
  return host;
}
