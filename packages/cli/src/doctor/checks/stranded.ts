import { STRANDED_MOST, strandedCommands } from "../../queue/stranded.ts";
import { check, counted, error, ok } from "../check.ts";

/** Commands that are stored and that no worker will get. */
export const stranded = check<readonly string[]>({
  name: "stranded",

  look: ({ jsm, subjects }) => strandedCommands(jsm, subjects.streamName("COMMANDS")),

  judge(found) {
    if (found.length === 0) return [ok("stranded", "each stored command will reach a worker")];
    const least = found.length >= STRANDED_MOST ? "at least " : "";
    return [
      error(
        "stranded",
        `${least}${counted(found.length, "command")} will not reach a worker, such as ${found[0]}`,
        "A coordinator publishes them again within a minute. Do not purge COMMANDS with a subject.",
      ),
    ];
  },
});
