import { createInterface } from "node:readline";
import { type RecordedRun, type Walked, walkRun, withoutForcedEnd } from "@stepstream/coordinator";
import type { AnyWorkflow } from "@stepstream/sdk";
import { errorOf } from "../errors.ts";
import { EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { printLine } from "../print/json.ts";
import { workflowOf } from "./recorded.ts";
import { divergence, type Look, pendingLines, told } from "./told.ts";
import { untilOf } from "./until.ts";

export interface OneFlags {
  until?: string | undefined;
  step?: boolean | undefined;
  /** Only the verdict, as JSON. */
  json?: boolean | undefined;
}

/** Replays one run and tells what comes of it. @throws {Exit} With code 1, if the code does not fit. */
export async function replayOne(workflow: AnyWorkflow, recorded: RecordedRun, io: Io, flags: OneFlags): Promise<void> {
  const look: Look = { paint: painter(io, io.out), cwd: io.cwd, width: io.out.isTTY ? io.out.columns : undefined };
  const say = (lines: readonly string[]) => void (flags.json || io.out.write(`${lines.join("\n")}\n`));
  const judge = (verdict: "same" | "diverges", error?: Error) => {
    const { run } = recorded;
    if (flags.json)
      printLine(io, { run, workflow: workflowOf(recorded), verdict, ...(error && { error: errorOf(error) }) });
  };
  const until = flags.until === undefined ? () => false : untilOf(flags.until);
  const keys = flags.step && io.in === process.stdin && process.stdin.isTTY ? keyboard(io) : undefined;
  // Ended by force: then the code had no say in its end, but the history says what came before.
  const forced = withoutForcedEnd(recorded);
  let stepping = flags.step ?? false;
  let last: Walked | undefined;
  let [messages, decisions] = [0, 0];
  try {
    for await (const walked of walkRun(workflow, forced ?? recorded)) {
      io.signal.throwIfAborted();
      last = walked;
      messages++;
      decisions += walked.recorded ? walked.decided.length : 0;
      if (stepping) say(told(walked, look));
      if (walked.fault) {
        say(divergence(walked, look));
        judge("diverges", walked.fault);
        throw new Exit(EXIT.no);
      }
      if (until(walked)) {
        if (!stepping) say(told(walked, look));
        say([`stopped at message #${walked.seq}, the ${messages}. of ${recorded.inbox.length}`]);
        return;
      }
      if (stepping && keys) {
        const key = await keys.next();
        if (key === "q") return;
        if (key === "c") stepping = false;
      }
    }
  } finally {
    keys?.close();
  }
  if (flags.until !== undefined) say([look.paint("yellow", `nothing of the history is ${flags.until}`)]);
  const { paint } = look;
  say([
    `${paint("green", "✓")} the code fits the history of run ${recorded.run}: ${messages} messages, ${decisions} decisions`,
  ]);
  judge("same");
  if (forced) say(["  then it was terminated, which asks no code"]);
  else if (last && !last.over) say(pendingLines(last.pending(), look));
}

/** Enter: on; c: on without stopping; q: that is all. */
function keyboard(io: Io): { next(): Promise<string>; close(): void } {
  const lines = createInterface({ input: io.in, terminal: false });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    async next() {
      io.err.write(painter(io, io.err)("gray", "Enter: next   c: continue   q: quit > "));
      const { value, done } = await iterator.next();
      return done ? "q" : String(value).trim();
    },
    close: () => lines.close(),
  };
}
