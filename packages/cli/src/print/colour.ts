import { styleText } from "node:util";
import type { Io, Sink } from "../io.ts";

type Style = Parameters<typeof styleText>[0];

/** Colours for one stream: `paint("red", text)`, which is the text itself where there are none. */
export type Paint = (style: Style, text: string) => string;

/**
 * Colours on a terminal, none in a pipe. `NO_COLOR` and `--no-color` turn them off, `FORCE_COLOR` turns them on:
 * https://no-color.org, https://force-color.org.
 */
export function painter(io: Pick<Io, "env">, sink: Sink): Paint {
  return coloured(io.env, sink)
    ? (style, text) => styleText(style, text, { validateStream: false })
    : (_, text) => text;
}

function coloured(env: Io["env"], sink: Sink): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0";
  return sink.isTTY === true && env.TERM !== "dumb";
}

/** The colour of a state, the same in every table. */
export function stateStyle(state: string): Style {
  switch (state) {
    case "completed":
      return "green";
    case "failed":
    case "dead":
      return "red";
    case "running":
      return "cyan";
    case "parked":
      return "yellow";
    default:
      return "gray"; // cancelled, terminated
  }
}
