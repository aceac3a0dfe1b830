import type { Command } from "commander";

/** One thing that could come next. */
export interface Candidate {
  value: string;
  about: string;
}

/**
 * What could come next on the command line, from the commands as they are.
 *
 * @param words - What stands behind `stepstream`; the last is the one to complete, and may be empty.
 */
export function complete(program: Command, words: readonly string[]): Candidate[] {
  const begun = words.at(-1) ?? "";
  let at = program;
  let previous = "";
  for (const word of words.slice(0, -1)) {
    const below = at.commands.find((one) => one.name() === word);
    if (below && !word.startsWith("-")) at = below;
    previous = word;
  }
  const options = [...at.options, ...(at === program ? [] : program.options)];
  const asked = options.find((one) => one.long === previous || one.short === previous);
  // The value of an option: its choices, or whatever the shell thinks of.
  if (asked && (asked.required || asked.optional))
    return (asked.argChoices ?? []).filter((one) => one.startsWith(begun)).map((value) => ({ value, about: "" }));
  const candidates = begun.startsWith("-")
    ? options.map(({ long, short, description }) => ({ value: long ?? short ?? "", about: description }))
    : at.commands
        .filter((one) => !one.name().startsWith("__"))
        .map((one) => ({ value: one.name(), about: one.description() }));
  return candidates.filter(({ value }) => value.startsWith(begun));
}

/** Each asks `stepstream __complete` for lines of value, tab, explanation. */
export const SCRIPTS = {
  bash: `# bash completion of stepstream
_stepstream() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(stepstream __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _stepstream stepstream
`,
  zsh: `#compdef stepstream
_stepstream() {
  local -a found
  local line value about
  while IFS=$'\\t' read -r value about; do
    found+=("\${value//:/\\\\:}\${about:+:\${about}}")
  done < <(stepstream __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe stepstream found; else _files; fi
}
if [ "$funcstack[1]" = "_stepstream" ]; then _stepstream "$@"; else compdef _stepstream stepstream; fi
`,
  fish: `# fish completion of stepstream
function __stepstream_complete
  set -l begun (commandline -ct)
  set -l words (commandline -opc) "$begun"
  set -l found (stepstream __complete -- $words[2..-1] 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$begun"
  end
end
complete -c stepstream -f -a "(__stepstream_complete)"
`,
} as const;
export type Shell = keyof typeof SCRIPTS;
