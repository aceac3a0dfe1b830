import type { Failure } from "@stepstream/contracts";
import type { ChildState } from "@stepstream/coordinator/audit";
import { type HistoryEntry, HistoryReader, RunNotFoundError, type RunStatus } from "@stepstream/sdk";
import type { Command } from "commander";
import type { Flags } from "../commands/show.ts";
import { type Bus, withBus } from "../connection.ts";
import type { Io } from "../io.ts";
import { readable } from "../json.ts";
import { type Paint, painter, stateStyle } from "../print/colour.ts";
import { printPage } from "../print/json.ts";
import { cut, oneLine } from "../print/table.ts";
import { ago, stamp, took } from "../print/time.ts";
import { rollCall } from "../roll-call.ts";
import { absentOf } from "../view/absent.ts";
import { emptyView, type RunView, type SlotView, see } from "../view/run-view.ts";
import { framesOf, innermostFrames } from "../view/stack.ts";
import { progressBar } from "../view/tree.ts";
import { type Surroundings, type Wait, waitsOf } from "../view/waits.ts";

export async function show(command: Command, io: Io, run: string, flags: Flags): Promise<void> {
  await withBus(command, io, async (bus) => {
    // What is stored has the server's times.
    const now = bus.log.serverNow();
    const known = await look(bus, run, now);
    if (flags.json) printPage(io, asJson(known));
    else io.out.write(`${told(known, io, flags, now).join("\n")}\n`);
  });
}

interface Known {
  status: RunStatus;
  view: RunView;
  waits: Wait[];
}

async function look(bus: Bus, run: string, now: number): Promise<Known> {
  const reader = new HistoryReader(bus.log, run);
  const history = await reader.more();
  if (history.length === 0) throw new RunNotFoundError(run, bus.namespace);
  const client = await bus.client();
  const status = await client.get(run).status();
  const view = emptyView(run);
  see(view, history);
  const open = view.endedAt === undefined ? [...view.slots.values()].filter(({ state }) => state === "open") : [];
  const around: Surroundings = { now };
  if (open.some(({ kind }) => kind === "step")) around.workers = (await rollCall(bus.log)).workers;
  const children = open.flatMap(({ child }) => (child === undefined ? [] : [child]));
  around.children = new Map(
    await Promise.all(
      children.slice(0, 100).map(async (child) => {
        const its = await client
          .get(child)
          .status()
          .catch(() => undefined);
        return [child, its?.status ?? "not started yet"] as const;
      }),
    ),
  );
  if (status.status === "parked") return { status, view, waits: [] };
  if (open.length > 0) around.absent = await absentFrom(bus, run, history, reader, around);
  return { status, view, waits: waitsOf(view, around) };
}

/** @returns In words, by slot. */
async function absentFrom(
  { log }: Bus,
  run: string,
  history: HistoryEntry[],
  reader: HistoryReader,
  { now, children }: Surroundings,
): Promise<ReadonlyMap<number, string>> {
  const { describeNeed } = await import("@stepstream/coordinator/audit");
  const began = performance.now();
  const states = new Map<string, ChildState>();
  for (const [child, status] of children ?? []) {
    if (status === "not started yet") states.set(child, "unstarted");
    else states.set(child, ["running", "parked"].includes(status) ? "running" : "over");
  }
  const read = async () => {
    history.push(...(await reader.more()));
    return history;
  };
  const absent = await absentOf(log, run, read, () => now + performance.now() - began, states);
  return new Map(absent.map((need) => [need.slot, describeNeed(need)]));
}

function asJson({ status, view, waits }: Known) {
  const { slots, signals, ...rest } = view;
  return { ...rest, ...status, signals: Object.fromEntries(signals), waits, slots: [...slots.values()].map(slotJson) };
}

function slotJson({ attempts, ...slot }: SlotView) {
  return {
    ...slot,
    attempts: attempts.map(({ code: _, message: __, ...attempt }) => attempt),
  };
}

/** Slots that are listed one by one. */
const MOST = 20;

function told({ status, view, waits }: Known, io: Io, { full }: Flags, now: number): string[] {
  const paint = painter(io, io.out);
  const value = (given: unknown) => {
    const text = JSON.stringify(readable(given), undefined, full ? 2 : 0) ?? (full ? "" : "none");
    return full ? text : cut(text, Math.max(40, (io.out.columns ?? 110) - 10));
  };
  const { id, workflow, version, startedAt, endedAt, parent, history, traceId } = status;
  const lines = [
    `${paint("bold", id)}  ${workflow}@${version}  ${paint(stateStyle(status.status), status.status)}`,
    `started   ${stamp(startedAt)} UTC, ${ago(now - startedAt)}`,
    endedAt !== undefined && `ended     ${stamp(endedAt)} UTC, after ${took(endedAt - startedAt)}`,
    parent && `child of  ${parent.run}, slot ${parent.slot}`,
    view.lives > 1 && `lives     ${view.lives}`,
    `history   ${counted(history.inbox + history.journal, "message")}, ${counted(view.slots.size, "slot")}${view.lateResults > 0 ? `, ${view.lateResults} late results that changed nothing` : ""}`,
    view.startedTwice > 0 &&
      `twice     ${counted(view.startedTwice, "handler")} started twice though the first start had not crashed: see history`,
    `trace     ${traceId}`,
    `input     ${value(view.input)}`,
    view.status === "completed" && `output    ${value(view.output)}`,
    view.progress && `progress  ${progressBar(view.progress, paint)}`,
    view.signals.size > 0 &&
      `signals   ${[...view.signals].map(([name, count]) => `${name}${count > 1 ? ` ×${count}` : ""}`).join(", ")}`,
    view.cancel && `cancelled ${oneLine(view.cancel.reason)}, ${ago(now - view.cancel.at)}`,
    view.closing &&
      endedAt === undefined &&
      `closing   its function has ended (${view.closing.outcome}); it settles what is open and compensates`,
    view.reason !== undefined && !view.cancel && `because   ${oneLine(view.reason)}`,
  ].filter((line) => typeof line === "string");
  const failure = status.error ?? view.error;
  if (failure) lines.push("", ...failed(failure, paint, io.cwd, full));
  if (status.parked) lines.push("", ...parked(status.parked, now, paint));
  if (waits.length > 0) {
    lines.push("", paint("bold", `waits for ${waits.length === 1 ? "" : `${waits.length} things`}`.trim()));
    for (const { slot, what, why } of waits.slice(0, MOST)) {
      lines.push(`  ${slot === undefined ? "" : paint("gray", `slot ${slot}  `)}${what}: ${oneLine(why)}`);
      const last = slot === undefined ? undefined : view.slots.get(slot)?.attempts.at(-1);
      lines.push(...innermostFrames(last?.error, io.cwd).map((frame) => paint("gray", `      ${frame}`)));
    }
    if (waits.length > MOST) lines.push(`  … and ${waits.length - MOST} more`);
  }
  if (view.unreadable.length > 0) {
    lines.push("", paint("yellow", `${counted(view.unreadable.length, "message")} cannot be read`));
    for (const { seq, subject, why } of view.unreadable.slice(0, MOST))
      lines.push(`  ${paint("gray", `#${seq}  `)}${subject}: ${full ? why : oneLine(why)}`);
    if (view.unreadable.length > MOST) lines.push(`  … and ${view.unreadable.length - MOST} more`);
  }
  const undone = [...view.slots.values()].filter(({ compensation }) => compensation);
  if (undone.length > 0) {
    lines.push("", paint("bold", "compensations"));
    for (const { name, state, slot, error } of undone)
      lines.push(`  ${paint("gray", `slot ${slot}  `)}${name}: ${state}${error ? `: ${oneLine(error.message)}` : ""}`);
  }
  return lines;
}

function failed(failure: Failure, paint: Paint, cwd: string, full = false): string[] {
  const lines: string[] = [];
  let at: Failure | undefined = failure;
  for (let depth = 0; at && depth < 8; depth++, at = at.cause as Failure | undefined) {
    const message = full ? at.message : oneLine(at.message);
    lines.push(`${depth === 0 ? paint("red", at.code) : "  because"} ${message}`);
    lines.push(...framesOf(at, cwd).map((frame) => paint("gray", `      ${frame}`)));
  }
  lines.push(paint("gray", `What this code means, and what to do: docs/errors.md#${failure.code.toLowerCase()}`));
  return lines;
}

function parked({ code, error, since }: NonNullable<RunStatus["parked"]>, now: number, paint: Paint): string[] {
  return [
    `${paint("yellow", `parked for ${took(now - since)}`)}: ${code}`,
    ...error.message.split("\n").map((line) => `  ${line}`),
    "It goes on by itself within half a minute of a coordinator being up that can handle it.",
  ];
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;
}
