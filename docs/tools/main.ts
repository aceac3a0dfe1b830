/**
 * Writes docs/reference from the code.
 *
 *   node docs/tools/main.ts            writes it
 *   node docs/tools/main.ts --check    says what is not as the code has it, and which links of any page lead nowhere;
 *                                      exit code 1 if there is something
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { apiPages } from "./api.ts";
import { cliPage } from "./cli.ts";
import { brokenLinks } from "./links.ts";
import { permissionsPage } from "./permissions.ts";
import { settingsPage } from "./settings.ts";

const FOLDER = new URL("../reference/", import.meta.url);
const HEAD = "<!-- Written by `npm run docs` from the code: change it there. -->\n\n";

const pages = new Map(
  [
    ["cli.md", await cliPage()],
    ["permissions.md", permissionsPage()],
    ["settings.md", settingsPage()],
    ...(await apiPages()),
  ].map(([file, text]) => [file!, HEAD + text]),
);
const there = new Set(await readdir(FOLDER).catch(() => []));
const stale: string[] = [];
for (const [file, text] of pages)
  if (!there.has(file) || (await readFile(new URL(file, FOLDER), "utf8")) !== text) stale.push(file);
const gone = [...there].filter((file) => !pages.has(file));

if (process.argv.includes("--check")) {
  const faults = [
    ...stale.map((file) => `docs/reference/${file} is not as the code has it: npm run docs`),
    ...gone.map((file) => `docs/reference/${file} is of nothing that there is: npm run docs`),
    ...(await brokenLinks()),
  ];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
  else console.log(`docs: ${pages.size} pages of reference are as the code has it, and all links lead somewhere`);
} else {
  await mkdir(FOLDER, { recursive: true });
  for (const file of stale) await writeFile(new URL(file, FOLDER), pages.get(file)!);
  for (const file of gone) await rm(new URL(file, FOLDER));
  console.log(`docs/reference: ${pages.size} pages, ${stale.length} written, ${gone.length} removed`);
}
