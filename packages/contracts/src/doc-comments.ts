/**
 * The doc comments of a source file, by what they stand before: `RunStep` for an export, `RunStep.after` for a
 * field of it. The schemas' comments are the descriptions of the generated documents, so that both are one text.
 *
 * Reads source that Biome has formatted (two spaces, one field a line), which is the only kind there is here.
 */
export function docComments(source: string): Map<string, string> {
  const docs = new Map<string, string>();
  let owner = "";
  let comment: string[] | undefined;
  let open = false;
  for (const line of source.split("\n")) {
    if (!open && /^\s*\/\*\*/.test(line)) {
      comment = [];
      open = true;
    }
    if (open) {
      comment!.push(
        line
          .replace(/^\s*\/?\*+(\/$)?/, "")
          .replace(/\*\/$/, "")
          .trim(),
      );
      open = !line.endsWith("*/");
      continue;
    }
    const exported = /^export (?:const|interface|type) (\w+)/.exec(line)?.[1];
    const field = /^ {2}(?:get )?(\w+)\??(?::|\(\) \{)/.exec(line)?.[1];
    if (exported) owner = exported;
    const name = exported ?? (field && `${owner}.${field}`);
    if (name && comment && !docs.has(name)) docs.set(name, comment.filter(Boolean).join(" "));
    comment = undefined;
  }
  return docs;
}
