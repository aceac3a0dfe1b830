/** The site of docs/: its navigation, its links, and the check of its anchors. `npm run site -- --build` builds it. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { brokenAnchors } from "../../docs/.vitepress/anchors.ts";
import { rewriteLinks, targetOf } from "../../docs/.vitepress/links.ts";
import { DOCS, groups, HOME, markdownFiles, ungrouped } from "../../docs/.vitepress/pages.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stepstream-site-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes files into a new folder below {@link folder}. */
async function written(name: string, files: Record<string, string>): Promise<string> {
  for (const [file, text] of Object.entries(files)) {
    const path = join(folder, name, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  return join(folder, name);
}

describe("the navigation", () => {
  it("puts every page in one group", () => {
    const paths = groups().flatMap(({ pages }) => pages.map(({ path }) => path));
    expect(ungrouped(), "link these pages in docs/README.md").toEqual([]);
    expect(paths.toSorted()).toEqual(markdownFiles().filter((path) => path !== HOME));
  });

  it("orders pages as docs/README.md does, and adds the rest of each folder", async () => {
    const docs = await written("navigation", {
      "README.md":
        "# Docs\n\nBegin with [it](begin.md).\n\n## How to\n\n[b](guides/b.md#x) [top](top.md)\n\n## Concepts\n\n[c](c.md)\n",
      "begin.md": "# Begin\n",
      "top.md": "# Top: with more words\n",
      "c.md": "<!-- generated -->\n\n# `C`\n",
      "guides/a.md": "# A\n",
      "guides/b.md": "# B\n",
      "adr/0001-x.md": "# 1. X\n",
      "node_modules/x/README.md": "# Not ours\n",
      "lost.md": "# In no group\n",
    });
    const titles = groups(docs).map(({ title, pages }) => [title, pages.map(({ title }) => title)]);
    expect(titles).toEqual([
      ["Tutorial", ["Begin"]],
      ["How to", ["B", "Top", "A"]],
      ["Concepts", ["C"]],
      ["Reference", []],
      ["Decisions", ["1. X"]],
    ]);
    expect(ungrouped(docs)).toEqual(["lost.md"]);
  });
});

describe("a link", () => {
  it.each([
    ["guides/values.md", "retries.md#x", "page /guides/retries.md#x"],
    ["guides/values.md", "../README.md", "page /index.md"],
    ["README.md", "adr", "page /adr/0001-the-journal-and-its-fence.md"],
    ["README.md", "asyncapi.yaml", "file /asyncapi.yaml"],
    ["README.md", "schemas", "repository docs/schemas"],
    ["guides/values.md", "../../ARCHITECTURE.md", "repository ARCHITECTURE.md"],
    ["features.md", "../test/docs/site.test.ts", "repository test/docs/site.test.ts"],
    ["features.md", "#signals", "same #signals"],
    ["features.md", "https://nats.io", "same https://nats.io"],
  ])("turns %s %s into %s", (page, href, expected) => {
    const target = targetOf(page, href);
    const to = target.kind === "same" ? href : target.kind === "repository" ? target.path : target.href;
    expect(`${target.kind} ${to}`).toBe(expected);
  });

  it("to nothing fails the build, with the page and the link", () => {
    expect(() => targetOf("guides/values.md", "../nowhere.md")).toThrow(
      "docs/guides/values.md: the link ../nowhere.md",
    );
    expect(() => targetOf("features.md", "../test/nowhere.ts")).toThrow("../test/nowhere.ts");
  });
});

describe("a page as VitePress renders it", () => {
  const PAGE =
    "[a](retries.md#b) [c](../asyncapi.yaml) [d](../../README.md) [e](#e)\n\n<!-- examples/x.ts -->\n```ts\n1;\n```\n";

  async function rendered(repository: string | undefined): Promise<{ html: string; copied: string[] }> {
    const vitepress = createRequire(join(DOCS, "package.json")).resolve("vitepress");
    const { createMarkdownRenderer, disposeMdItInstance } = await import(pathToFileURL(vitepress).href);
    disposeMdItInstance(); // it keeps one, with the settings that it was made with
    const copied = new Set<string>();
    const md = await createMarkdownRenderer(DOCS, {
      config: (md: Parameters<typeof rewriteLinks>[0]) => rewriteLinks(md, repository, copied),
    });
    const html: string = md.render(PAGE, { path: join(DOCS, "guides/values.md"), relativePath: "guides/values.md" });
    return { html, copied: [...copied] };
  }

  it("links pages and copied files, and names the file of a snippet", async () => {
    const { html, copied } = await rendered(undefined);
    expect(html).toContain('<a href="/guides/retries.html#b">a</a> <a href="/asyncapi.yaml">c</a>');
    expect(html).toContain('<a href="#e">e</a>');
    expect(html).toContain('<p class="snippet-source"><code>examples/x.ts</code></p>');
    expect(copied).toEqual(["asyncapi.yaml"]);
  });

  it("has plain text where a link leaves docs/, or a link to the repository if its URL is known", async () => {
    const plain = await rendered(undefined);
    expect(plain.html).toContain('<span class="in-repository" title="README.md in the repository">d</span>');
    const linked = await rendered("https://example.com/o/r/blob/main");
    expect(linked.html).toMatch(/<a href="https:\/\/example\.com\/o\/r\/blob\/main\/README\.md"[^>]*>d<\/a>/);
  });
});

it("the check of anchors finds links to headings and files that are not there", async () => {
  const site = await written("built", {
    "index.html": `<h1 id="top">x</h1><a class="l" href="/s/a/b.html#here">y</a><a href="#top">t</a><a href="#gone">t</a>`,
    "a/b.html": `<h2 id="here">x</h2><a href="../index.html#top">y</a><a href="/s/">h</a><a href="../index.html#no">n</a>
      <a href="./c.html">c</a><a href="https://nats.io/#x">n</a><a href="/s/asyncapi.yaml">f</a>`,
    "asyncapi.yaml": "",
  });
  expect((await brokenAnchors(site, "/s/")).sort()).toEqual([
    "a/b.html: ../index.html#no leads to nothing",
    "a/b.html: ./c.html leads to nothing",
    "index.html: #gone leads to nothing",
  ]);
});
