import { relative } from "node:path";
import type { Paint } from "../print/colour.ts";
import type { Present } from "../roll-call.ts";
import type { DevBus } from "./bus.ts";

export interface Scene {
  bus: Pick<DevBus, "url" | "about" | "data" | "ours">;
  namespace: string;
  present: Present;
  tracesAt: string | undefined;
}

/** What runs where, and what to do next. */
export function banner({ bus, namespace, present, tracesAt }: Scene, paint: Paint, cwd: string): string {
  const workflows = sorted(
    [...present.coordinators.values()].flatMap(({ workflows }) => workflows).filter((one) => !one.startsWith("_")),
  );
  const steps = sorted(
    [...present.workers.values()]
      .flatMap(({ steps }) => steps.map(({ step }) => step))
      .filter((one) => !one.startsWith("_")),
  );
  const none = (what: string) => paint("yellow", `none: ${what}`);
  const rows: [string, string][] = [
    ["NATS", `${bus.url}  ${paint("gray", bus.about)}`],
    ...(bus.ours ? [["data", data(bus.data, cwd, paint)] satisfies [string, string]] : []),
    ...(namespace === "default" ? [] : [["namespace", namespace] satisfies [string, string]]),
    ["workflows", workflows.join(", ") || none("no module exports one")],
    ["steps", steps.join(", ") || none("no module exports handlers")],
    ...(tracesAt ? [["traces", tracesAt] satisfies [string, string]] : []),
  ];
  const width = Math.max(...rows.map(([title]) => title.length));
  const workflow = (workflows[0] ?? "<workflow>").split("@")[0];
  const where = [
    ...(bus.url === "nats://127.0.0.1:4222" ? [] : [`--nats ${bus.url}`]),
    ...(namespace === "default" ? [] : [`-n ${namespace}`]),
  ];
  const start = ["npx stepstream", ...where, `start ${workflow} --input '{…}'`].join(" ");
  return [
    "",
    `  ${paint("bold", "stepstream dev")}`,
    "",
    ...rows.map(([title, text]) => `  ${paint("gray", title.padEnd(width))}  ${text}`),
    "",
    `  Start a run:  ${paint("cyan", start)}`,
    "  A change of a source file restarts what is made of it. Ctrl-C ends it all.",
    "",
  ].join("\n");
}

function data(folder: string | undefined, cwd: string, paint: Paint): string {
  if (folder === undefined) return paint("gray", "kept until the end only");
  const short = relative(cwd, folder);
  return `${short.startsWith("..") ? folder : short || "."}  ${paint("gray", "kept; --no-data begins with nothing")}`;
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
