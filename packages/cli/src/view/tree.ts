import { type Paint, stateStyle } from "../print/colour.ts";
import { oneLine } from "../print/table.ts";
import { took } from "../print/time.ts";
import type { RunView, SlotView } from "./run-view.ts";

/** A run and, by their ids, its children and theirs, as far as they are known. */
export interface Family {
  view: RunView;
  children: ReadonlyMap<string, Family>;
}

export interface TreeOptions {
  paint: Paint;
  now: number;
  /** At most so many slots of each run: those that are open, then the latest. */
  most: number;
}

const MARKS: Record<SlotView["state"], string> = {
  open: "●",
  completed: "✓",
  failed: "✗",
  cancelled: "⊘",
  fired: "✓",
  ended: "·",
};
const STYLES = {
  open: "cyan",
  completed: "green",
  failed: "red",
  cancelled: "gray",
  fired: "green",
  ended: "gray",
} as const;

const BAR = 24;

/** A run as a tree: its steps, their attempts, timers, children. Pure. */
export function tree({ view, children }: Family, options: TreeOptions): string[] {
  const { paint, now, most } = options;
  const time = took((view.endedAt ?? now) - view.startedAt);
  const state = paint(stateStyle(view.status), view.status);
  const lines = [`${paint("bold", view.run)}  ${view.workflow}@${view.version}  ${state}  ${paint("gray", time)}`];
  if (view.progress) lines.push(progressBar(view.progress, paint));
  if (view.cancel && view.endedAt === undefined)
    lines.push(paint("yellow", `cancelled: ${oneLine(view.cancel.reason)}`));
  const { slots, left } = chosen(view, most);
  if (left > 0) lines.push(paint("gray", `├─ … ${left.toLocaleString("en")} more, that are over`));
  slots.forEach((slot, at) => {
    const last = at === slots.length - 1;
    lines.push(`${last ? "└─ " : "├─ "}${slotLine(slot, paint, now)}`);
    const below = [...attemptLines(slot, paint), ...childLines(slot, children, options)];
    lines.push(...below.map((line) => `${last ? "   " : "│  "}${line}`));
  });
  const why = view.error ? `${view.error.code}: ${oneLine(view.error.message)}` : view.reason;
  if (why) lines.push(paint(view.error ? "red" : "gray", why));
  return lines;
}

/** `[#####-----]  50 %  packing` */
export function progressBar({ step, total, name, percent }: NonNullable<RunView["progress"]>, paint: Paint): string {
  const done = Math.max(0, Math.min(BAR, Math.round((BAR * percent) / 100)));
  const bar = `[${paint("green", "█".repeat(done))}${paint("gray", "░".repeat(BAR - done))}]`;
  return `${bar} ${String(Math.round(percent)).padStart(3)} %  ${step} of ${total}  ${oneLine(name)}`;
}

function chosen({ slots }: RunView, most: number): { slots: SlotView[]; left: number } {
  // Timers that nobody asked for are nobody's work.
  const all = [...slots.values()].filter(({ kind, name }) => kind !== "timer" || name === "sleep" || name === "delay");
  if (all.length <= most) return { slots: all, left: 0 };
  const open = all.filter(({ state }) => state === "open").slice(0, most);
  const latest = all.filter(({ state }) => state !== "open").slice(Math.min(0, open.length - most) || all.length);
  const kept = [...open, ...latest].sort((a, b) => a.slot - b.slot);
  return { slots: kept, left: all.length - kept.length };
}

function slotLine(slot: SlotView, paint: Paint, now: number): string {
  const { kind, name, child, state, since, endedAt, attempt, fireAt, compensation, stopping } = slot;
  const mark = paint(STYLES[state], MARKS[state]);
  const called =
    kind === "timer"
      ? `sleep ${took((fireAt ?? since) - since)}`
      : kind === "child"
        ? `child ${child} (${name})`
        : name;
  const notes = [
    compensation && "compensation",
    (attempt ?? 1) > 1 && `attempt ${attempt}`,
    state === "open" && kind === "timer" && `${took(Math.max(0, fireAt! - now))} left`,
    state === "open" && stopping && "stopping",
    state === "cancelled" && "cancelled",
  ].filter((note) => note !== false && note !== undefined);
  const time = paint("gray", took((endedAt ?? now) - since));
  return [mark, paint("gray", `${slot.slot}`), called, time, ...notes.map((note) => paint("yellow", `${note}`))].join(
    " ",
  );
}

function attemptLines({ attempts, error, state }: SlotView, paint: Paint): string[] {
  const shown = attempts.length > 4 ? attempts.slice(-4) : attempts;
  const lines = shown.map(({ attempt, code, message }) =>
    paint("red", `  attempt ${attempt}: ${code === "Error" ? "" : `${code}: `}${oneLine(message)}`),
  );
  if (attempts.length > shown.length)
    lines.unshift(paint("gray", `  … ${attempts.length - shown.length} attempts before`));
  if (state === "failed" && error && attempts.length === 0)
    lines.push(paint("red", `  ${error.code}: ${oneLine(error.message)}`));
  return lines;
}

function childLines({ child }: SlotView, children: Family["children"], options: TreeOptions): string[] {
  const family = child === undefined ? undefined : children.get(child);
  return family ? tree(family, options).slice(1) : [];
}
