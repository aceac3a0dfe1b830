import { readdir, readFile } from "node:fs/promises";
import { join, posix } from "node:path";

/**
 * Finds links of a built site that lead to no heading, and links to files that are not there. VitePress checks pages only.
 *
 * @param folder - The built site.
 * @param base - Where the site is served from, e.g. "/".
 * @returns A line each: `a.html: b.html#c leads to nothing`.
 */
export async function brokenAnchors(folder: string, base: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).map((file) => file.replaceAll("\\", "/"));
  const pages = new Map<string, { ids: Set<string>; hrefs: Set<string> }>();
  for (const file of files.filter((file) => file.endsWith(".html"))) {
    const html = await readFile(join(folder, file), "utf8");
    pages.set(file, {
      ids: new Set([...html.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => text(id!))),
      hrefs: new Set([...html.matchAll(/<a\s[^>]*?href="([^"]*)"/g)].map(([, href]) => text(href!))),
    });
  }
  const there = new Set(files);
  return [...pages].flatMap(([page, { hrefs }]) =>
    [...hrefs]
      .filter((href) => !/^[a-z][a-z0-9+.-]*:/i.test(href))
      .filter((href) => {
        const [path, anchor] = href.split("#") as [string, string?];
        const file = path === "" ? page : fileOf(page, decodeURI(path), base);
        if (!there.has(file)) return true;
        return anchor ? pages.get(file)?.ids.has(decodeURIComponent(anchor)) === false : false;
      })
      .map((href) => `${page}: ${href} leads to nothing`),
  );
}

/** Returns the file that a server sends for a link of a page. */
function fileOf(page: string, path: string, base: string): string {
  const file = path.startsWith("/") ? path.slice(base.length) : posix.join(posix.dirname(page), path);
  return file === "" || file.endsWith("/") ? `${file}index.html` : file;
}

function text(attribute: string): string {
  return attribute
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
}
