/**
 * The documents of the programming model point at what is there: each link has its target, each name in quotes (`[file](…)
 * "name"`) is that of a test or a workflow in the file before it, and no cell of the feature table says nothing.
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const GUIDES = (await readdir(new URL("docs/guides/", ROOT))).filter((name) => name.endsWith(".md"));
const PAGES = ["docs/features.md", "examples/README.md", ...GUIDES.map((name) => `docs/guides/${name}`)];
const read = (url: URL | string) => readFile(new URL(url, ROOT), "utf8");

interface Link {
  page: string;
  line: number;
  target: string;
  /** `"name"` and `` `name` `` that follow the link. */
  names: string[];
}

async function linksOf(page: string): Promise<Link[]> {
  const text = (await read(page)).replaceAll(/^```[\s\S]*?^```$/gm, (code) => code.replaceAll(/[^\n]/g, ""));
  return text.split("\n").flatMap((line, i) =>
    [...line.matchAll(/\[[^\]]+\]\(([^)\s]+)\)((?:,? (?:"[^"|]+"|`\w+`))*)/g)].map((match) => ({
      page,
      line: i + 1,
      target: match[1]!,
      names: [...match[2]!.matchAll(/"[^"]+"|`\w+`/g)].map(([name]) => name),
    })),
  );
}

const links = (await Promise.all(PAGES.map(linksOf))).flat().filter(({ target }) => !/^https?:/.test(target));

describe("the links", () => {
  it("are many", () => expect(links.length).toBeGreaterThan(150));

  it.each(PAGES)("of %s lead to what is there", async (page) => {
    for (const { target, line } of links.filter((link) => link.page === page)) {
      const [path, anchor] = target.split("#") as [string, string?];
      const file = path === "" ? new URL(page, ROOT) : new URL(path, new URL(page, ROOT));
      await expect(stat(file), `${page}:${line} ${target}`).resolves.toBeDefined();
      if (anchor) expect(headings(await read(file)), `${page}:${line} ${target}`).toContain(anchor);
    }
  });

  it("name tests and workflows that are there", async () => {
    let names = 0;
    for (const { page, line, target, names: named } of links)
      for (const name of named) {
        const source = await read(new URL(target.split("#")[0]!, new URL(page, ROOT)));
        expect(isNamed(source, name), `${page}:${line} ${target} ${name}`).toBe(true);
        names++;
      }
    expect(names).toBeGreaterThan(100);
  });
});

it.each(GUIDES)("every snippet of %s is in the file that it names", async (name) => {
  const page = await read(`docs/guides/${name}`);
  const snippets = [...page.matchAll(/<!-- (\S+) -->\n```ts\n([\s\S]*?)```/g)];
  expect(snippets).toHaveLength(page.split("```ts").length - 1);
  for (const [, file, snippet] of snippets) expect(await read(file!), file).toContain(snippet);
});

describe("the feature table", async () => {
  const rows = (await read("docs/features.md"))
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| feature ") && !line.startsWith("| --- "))
    .map((line) => line.slice(2, -2).split(/ \| /));

  it("has all features", () => expect(rows.length).toBeGreaterThanOrEqual(40));

  it.each(rows.map((cells) => [cells[0]!, cells] as const))(
    "%s: API, example, tests, simulation, promise",
    (_, cells) => {
      expect(cells).toHaveLength(7);
      const [, api, example, unit, e2e, simulated, promise] = cells as [string, ...string[]];
      expect(api).not.toBe("");
      expect(example).toMatch(/\]\(/);
      // What is missing is missing in words.
      for (const tests of [unit, e2e]) expect(tests).toMatch(/\]\([^)]+\) (["`])|^none: ./);
      expect(simulated).toMatch(/\]\(|^not simulated: ./);
      expect(promise!.length).toBeGreaterThan(20);
    },
  );
});

it("every example that is played is in the tour", async () => {
  const tour = await read("examples/README.md");
  for (const folder of ["practices", "constructs"]) {
    const files = await readdir(new URL(`examples/${folder}/`, ROOT));
    const plays = files.filter(
      (file) => /^[\w-]+\.ts$/.test(file) && !/^(main|stage|practices|constructs)\.ts$/.test(file),
    );
    expect(plays.length).toBeGreaterThan(8);
    for (const file of plays) expect(tour, file).toContain(`(${folder}/${file})`);
  }
});

/** As GitHub makes anchors of headings. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** `"name"`: what `it`, `describe` or `workflow` is called with. `` `name` ``: a word of the file. */
function isNamed(source: string, quoted: string): boolean {
  const name = quoted.slice(1, -1);
  if (quoted.startsWith("`")) return new RegExp(`\\b${name}\\b`).test(source);
  return [`"${name}"`, `'${name}'`, `\`${name}\``].some((literal) =>
    new RegExp(`\\(\\s*${escaped(literal)}`).test(source),
  );
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&");
}
