/**
 * Links of docs/ as the site has them. The pages link as GitHub needs it: to files next to them, anywhere in the repository.
 *
 * L1. A link to a page leads to that page of the site, one to a folder with pages to the first of them.
 * L2. A link to any other file below docs/ leads to a copy of that file on the site.
 * L3. A link to anything else in the repository leads to the repository, or is plain text where no URL of it is known.
 * L4. A link to what does not exist fails the build.
 *
 * Checked elsewhere:
 *   L1 L2  test/docs/site.test.ts: links pages and copied files, and names the file of a snippet
 *   L3  test/docs/site.test.ts: has plain text where a link leaves docs/, or a link to the repository if its URL is known
 *   L4  test/docs/site.test.ts: to nothing fails the build, with the page and the link
 */
import { existsSync, statSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import type { MarkdownRenderer } from "vitepress";
import { DOCS, firstPageOf, HOME } from "./pages.ts";

const ROOT = dirname(DOCS);

export type Target =
  | { readonly kind: "same" }
  | { readonly kind: "page"; readonly href: string }
  | { readonly kind: "file"; readonly href: string; readonly path: string }
  | { readonly kind: "repository"; readonly path: string };

/**
 * Finds what a link of a page leads to.
 *
 * @param page - The page's path below docs/, with slashes.
 * @param href - As the page has it.
 * @throws {Error} If it leads to nothing in the repository.
 */
export function targetOf(page: string, href: string): Target {
  if (/^([a-z][a-z0-9+.-]*:|#|\/)/i.test(href)) return { kind: "same" };
  const [link, anchor] = href.split("#") as [string, string?];
  const path = join(DOCS, posix.dirname(page), decodeURI(link));
  if (!existsSync(path)) throw new Error(`docs/${page}: the link ${href} leads to nothing.`);
  const below = relative(DOCS, path).replaceAll("\\", "/");
  const inRepository = relative(ROOT, path).replaceAll("\\", "/");
  if (below.startsWith("..")) return { kind: "repository", path: inRepository };
  const isFolder = statSync(path).isDirectory();
  const to = isFolder ? firstPageOf(below) : below;
  if (to === undefined) return { kind: "repository", path: inRepository };
  if (!to.endsWith(".md")) return { kind: "file", href: `/${to}`, path: to };
  const file = posix.basename(to) === HOME ? posix.join(posix.dirname(to), "index.md") : to;
  return { kind: "page", href: `/${file}${anchor === undefined ? "" : `#${anchor}`}` };
}

/**
 * Changes the links of pages to what {@link targetOf} finds, and shows above each quoted snippet which file it is from.
 *
 * @param repository - URL of the repository's files, e.g. "https://github.com/o/r/blob/main"; links that leave docs/ are
 *   plain text without it.
 * @param copied - Gets the path below docs/ of each file that the site needs a copy of.
 */
export function rewriteLinks(md: MarkdownRenderer, repository: string | undefined, copied: Set<string>): void {
  md.core.ruler.push("stepstream_links", ({ tokens, env }) => {
    const page: string = relative(DOCS, env.realPath ?? env.path).replaceAll("\\", "/");
    for (const token of tokens) {
      const [, source] = (token.type === "html_block" && /^<!-- (\S+\.\w+) -->\s*$/.exec(token.content)) || [];
      if (source) token.content = `<p class="snippet-source"><code>${md.utils.escapeHtml(source)}</code></p>\n`;
      let plain = false;
      for (const child of token.children ?? []) {
        if (child.type === "link_close" && plain) {
          child.type = "repository_close";
          child.tag = "span";
          plain = false;
        }
        const href = child.type === "link_open" ? child.attrGet("href") : null;
        if (href === null) continue;
        const target = targetOf(page, href);
        if (target.kind === "page" || target.kind === "file") child.attrSet("href", target.href);
        if (target.kind === "file") copied.add(target.path);
        if (target.kind !== "repository") continue;
        if (repository !== undefined) {
          child.attrSet("href", `${repository}/${target.path}`);
          continue;
        }
        child.type = "repository_open";
        child.tag = "span";
        child.attrs = [
          ["class", "in-repository"],
          ["title", `${target.path} in the repository`],
        ];
        plain = true;
      }
    }
  });
}
