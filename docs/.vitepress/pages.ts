/**
 * The pages of the site, in groups, as docs/README.md orders them.
 *
 * P1. A page is in the group under whose heading docs/README.md links it, in that order.
 * P2. A page of a folder below docs/ that is not linked there follows in the group of its folder.
 * P3. A page that is in no group is reported: {@link ungrouped}.
 *
 * Checked elsewhere:
 *   P1 P2  test/docs/site.test.ts: orders pages as docs/README.md does, and adds the rest of each folder
 *   P3  test/docs/site.test.ts: puts every page in one group
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

export const DOCS = dirname(dirname(fileURLToPath(import.meta.url)));
/** The page that GitHub shows for docs/, and the site as its home. */
export const HOME = "README.md";

interface Page {
  /** Below docs/, with slashes. */
  readonly path: string;
  /** Its first heading, without what follows a colon. */
  readonly title: string;
}

export interface Group {
  readonly title: string;
  readonly pages: readonly Page[];
}

/** The headings of docs/README.md, and the folders whose other pages belong there. The tutorial comes before any heading. */
const GROUPS: readonly { readonly title: string; readonly heading: string; readonly folder?: string }[] = [
  { title: "Tutorial", heading: "" },
  { title: "How to", heading: "How to", folder: "guides" },
  { title: "Concepts", heading: "Concepts", folder: "concepts" },
  { title: "Reference", heading: "Reference", folder: "reference" },
  { title: "Decisions", heading: "Decisions", folder: "adr" },
];
const SKIPPED = new Set(["node_modules", "tools", ".vitepress"]);

/** Returns the paths of all Markdown files below a folder, in the order of their names. */
export function markdownFiles(docs: string = DOCS): string[] {
  return readdirSync(docs, { withFileTypes: true })
    .flatMap((entry) => {
      if (!entry.isDirectory()) return [entry.name];
      if (SKIPPED.has(entry.name)) return []; // node_modules has links to half of the repository
      return markdownFiles(join(docs, entry.name)).map((path) => `${entry.name}/${path}`);
    })
    .filter((path) => path.endsWith(".md"))
    .sort();
}

/** Returns the groups of the site's navigation, each with its pages in their order. */
export function groups(docs: string = DOCS): Group[] {
  const files = markdownFiles(docs);
  const linked = linksByHeading(readFileSync(join(docs, HOME), "utf8"));
  const taken = new Set([...linked.values()].flat());
  return GROUPS.map(({ title, heading, folder }) => {
    const first = (linked.get(heading) ?? []).filter((path) => files.includes(path));
    const rest = files.filter((path) => folder !== undefined && path.startsWith(`${folder}/`) && !taken.has(path));
    return { title, pages: [...new Set([...first, ...rest])].map((path) => ({ path, title: titleOf(docs, path) })) };
  });
}

/** Returns the pages that are in no group: they could be reached by search only. */
export function ungrouped(docs: string = DOCS): string[] {
  const grouped = new Set(groups(docs).flatMap(({ pages }) => pages.map(({ path }) => path)));
  return markdownFiles(docs).filter((path) => path !== HOME && !grouped.has(path));
}

/** Returns the first page of a folder below docs/: where a link to that folder leads. */
export function firstPageOf(folder: string, docs: string = DOCS): string | undefined {
  const index = posix.join(folder, HOME);
  if (existsSync(join(docs, index))) return index;
  return markdownFiles(docs).find((path) => posix.dirname(path) === folder);
}

/** Returns the Markdown files that a page links, by the heading of level 2 above the link; "" is before the first. */
function linksByHeading(text: string): Map<string, string[]> {
  const links = new Map<string, string[]>();
  let heading = "";
  for (const line of text.split("\n")) {
    heading = /^## (.+)$/.exec(line)?.[1] ?? heading;
    for (const [, path] of line.matchAll(/\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)/g))
      links.set(heading, [...(links.get(heading) ?? []), posix.normalize(path!)]);
  }
  return links;
}

function titleOf(docs: string, path: string): string {
  const heading = /^# (.+)$/m.exec(readFileSync(join(docs, path), "utf8"))?.[1];
  if (heading === undefined)
    throw new Error(`docs/${path} has no heading of level 1, so the site has no title for it.`);
  return heading.split(": ")[0]!.replaceAll(/[`*]/g, "");
}
