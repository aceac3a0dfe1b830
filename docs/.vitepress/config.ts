/**
 * The documentation as a site: npm run site, npm run site -- --build.
 *
 * The pages stay as GitHub shows them; pages.ts derives the navigation from docs/README.md, links.ts adapts the links.
 * Nothing is loaded from other hosts: the search index is built in, fonts are those of the reader's system.
 */
import { readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { slug } from "github-slugger";
import { type DefaultTheme, defineConfig } from "vitepress";
import { brokenAnchors } from "./anchors.ts";
import { rewriteLinks } from "./links.ts";
import { DOCS, type Group, groups, HOME } from "./pages.ts";

const { description, repository } = JSON.parse(readFileSync(join(DOCS, "..", "package.json"), "utf8")) as {
  description: string;
  repository?: string | { url: string };
};
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#3a7d6b" stroke-width="4" stroke-linecap="round"><path d="M4 25h7v-8h7V9h10"/></g></svg>`;
const GROUPS = groups();
/** Files below docs/ that are no pages and that a page links. */
const copied = new Set<string>();

export default defineConfig({
  lang: "en",
  title: "Stepstream",
  description,
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }]],
  cacheDir: join(DOCS, "node_modules", ".cache", "vitepress"),
  srcExclude: ["tools/**"],
  ignoreDeadLinks: "localhostLinks", // programs that the reader has started
  rewrites: { [HOME]: "index.md" },
  vite: { build: { chunkSizeWarningLimit: 1500 } }, // the search index, loaded when a reader searches
  markdown: {
    anchor: { slugify: (heading) => slug(heading) }, // links in docs/ have GitHub's anchors
    config: (md) => rewriteLinks(md, repositoryUrl(), copied),
  },
  themeConfig: {
    nav: GROUPS.map(navigationItem),
    sidebar: GROUPS.map(sidebarGroup),
    outline: [2, 3],
    search: { provider: "local" },
    externalLinkIcon: true,
  },
  transformPageData(page) {
    if (page.relativePath === "index.md") Object.assign(page.frontmatter, home());
  },
  async buildEnd({ outDir, site }) {
    for (const file of copied) await cp(join(DOCS, file), join(outDir, file));
    const broken = await brokenAnchors(outDir, site.base);
    if (broken.length > 0) throw new Error(`${broken.length} links lead to nothing:\n${broken.join("\n")}`);
  },
});

function repositoryUrl(): string | undefined {
  const url = typeof repository === "string" ? repository : repository?.url;
  return url && `${url.replace(/^git\+/, "").replace(/\.git$/, "")}/blob/main`;
}

function link(path: string): string {
  return `/${path.replace(/\.md$/, "")}`;
}

function navigationItem({ title, pages }: Group): DefaultTheme.NavItemWithLink {
  const paths = pages.map(({ path }) => link(path).replaceAll(".", "\\."));
  return { text: title, link: link(pages[0]!.path), activeMatch: `^(${paths.join("|")})(\\.html)?$` };
}

function sidebarGroup({ title, pages }: Group): DefaultTheme.SidebarItem {
  return {
    text: title,
    collapsed: true, // but for the group of the page that is shown
    items: pages.map(({ path, title }) => ({ text: title, link: link(path) })),
  };
}

/** What the page docs/README.md has above its text on the site. */
function home() {
  const [tutorial, ...others] = GROUPS.filter(({ title }) => title !== "Decisions");
  return {
    layout: "home",
    hero: {
      name: "Stepstream",
      text: "Steps that run to completion",
      tagline: description,
      actions: [
        { theme: "brand", text: tutorial!.title, link: link(tutorial!.pages[0]!.path) },
        ...others.map(({ title, pages }) => ({ theme: "alt", text: title, link: link(pages[0]!.path) })),
      ],
    },
  };
}
