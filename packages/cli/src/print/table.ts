import { createRequire } from "node:module";
import { stripVTControlCharacters } from "node:util";
import type stringWidth from "string-width";

export interface Column {
  title: string;
  /** Default "left". */
  align?: "left" | "right";
}

/** What almost all text is. The tables of `string-width` take 20 ms to be made, so it is loaded for the rest only. */
const ASCII = /^[\x20-\x7e]*$/;
const require = createRequire(import.meta.url);

/** How many columns of a terminal a text takes. */
function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  const { default: width } = require("string-width") as { default: typeof stringWidth };
  return width(text);
}

/** Between columns. */
const GAP = "  ";

/**
 * A table for people: a line of titles, columns as wide as what is in them, no frame.
 *
 * @param rows - Cells, with or without colours. What does not print (line ends, escape codes of others) is taken out.
 * @param width - The last column is cut to make lines fit; undefined: nothing is cut.
 */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width?: number): string {
  const all = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, at) => Math.max(...all.map((row) => widthOf(row[at] ?? ""))));
  const lines = all.map((row) =>
    columns
      .map(({ align = "left" }, at) => {
        const cell = row[at] ?? "";
        const space = " ".repeat(widths[at]! - widthOf(cell));
        if (align === "right") return space + cell;
        return at === columns.length - 1 ? cell : cell + space;
      })
      .join(GAP),
  );
  return lines.map((line) => (width === undefined ? line.trimEnd() : cut(line.trimEnd(), width))).join("\n");
}

/** The line, or as much of it as fits, with a mark. A line that is cut loses its colours. */
export function cut(line: string, width: number): string {
  if (widthOf(line) <= width) return line;
  const plain = [...stripVTControlCharacters(line)];
  let kept = "";
  for (const char of plain) {
    if (widthOf(kept + char) > width - 1) break;
    kept += char;
  }
  return `${kept}…`;
}

/** Text of others on one line, without what would move the cursor. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s+/g, " ")
    .replace(/\p{Cc}/gu, "")
    .trim();
}
