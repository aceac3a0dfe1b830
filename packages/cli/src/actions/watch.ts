import { type HistoryEntry, HistoryReader, RunNotFoundError } from "@stepstream/sdk";
import type { Command } from "commander";
import { type Bus, withBus } from "../connection.ts";
import { EXIT, Exit } from "../exit.ts";
import type { Io } from "../io.ts";
import { painter } from "../print/colour.ts";
import { entryJson, printLine } from "../print/json.ts";
import { live } from "../print/live.ts";
import { cut } from "../print/table.ts";
import { stamp } from "../print/time.ts";
import { linesOf } from "../view/entry.ts";
import { followRun } from "../view/follow.ts";
import { emptyView, type RunView, see } from "../view/run-view.ts";
import { type Family, tree } from "../view/tree.ts";

export async function watch(command: Command, io: Io, run: string): Promise<void> {
  await withBus(command, io, (bus) => follow(bus, io, run));
}

async function follow(bus: Bus, io: Io, run: string): Promise<void> {
  const root = new Watched(bus, run);
  if (!(await root.look())) throw new RunNotFoundError(run, bus.namespace);
  const screen = live(io);
  const paint = painter(io, io.out);
  const draw = () => {
    const { isTTY = false, columns = 100, rows = 24 } = io.out;
    // What does not fit on the screen cannot be drawn again in place.
    const most = isTTY ? Math.max(4, Math.floor(rows / 2)) : Number.POSITIVE_INFINITY;
    const lines = tree(root.family, { paint, now: bus.log.serverNow(), most });
    screen.draw((isTTY ? lines.slice(0, Math.max(1, rows - 2)).map((line) => cut(line, columns)) : lines).join("\n"));
  };
  try {
    await followRun(bus, run, io.signal, async () => {
      await root.look();
      // Where nothing can be drawn again: a line for each thing as it comes, and the tree at the end.
      if (io.json) for (const entry of root.entries()) printLine(io, entry);
      else if (io.out.isTTY) draw();
      else for (const line of root.news()) io.out.write(`${line}\n`);
      return root.view.endedAt !== undefined;
    });
    if (!io.out.isTTY && !io.json) draw();
  } finally {
    screen.done();
  }
  if (root.view.status !== "completed") throw new Exit(EXIT.no);
}

/** A run that is watched, and its children as they come. */
class Watched {
  readonly view: RunView;
  readonly #bus: Bus;
  readonly #reader: HistoryReader;
  readonly #children = new Map<string, Watched>();
  #news: HistoryEntry[] = [];
  #gone = false;

  constructor(bus: Bus, run: string) {
    this.#bus = bus;
    this.#reader = new HistoryReader(bus.log, run);
    this.view = emptyView(run);
  }

  /** Reads what is new, also of children. @returns whether anything is known of it. */
  async look(): Promise<boolean> {
    if (this.view.endedAt === undefined) {
      const more = await this.#reader.more();
      see(this.view, more);
      this.#news.push(...more);
    }
    for (const { child } of this.view.slots.values())
      if (child !== undefined && !this.#children.has(child)) this.#children.set(child, new Watched(this.#bus, child));
    const going = [...this.#children.values()].filter((child) => child.view.endedAt === undefined && !child.#gone);
    await Promise.all(going.map((child) => child.#lookAsChild()));
    return this.view.startedAt > 0;
  }

  /** A child may be deleted while its parent continues. */
  async #lookAsChild(): Promise<void> {
    await this.look().catch((error) => {
      if (!(error instanceof RunNotFoundError)) throw error;
      this.#gone = true;
    });
  }

  /** What has come since the last time, children's too. */
  entries(): object[] {
    const own = this.#news.map((entry) => ({ run: this.view.run, ...entryJson(entry) }));
    this.#news = [];
    return [...own, ...[...this.#children.values()].flatMap((child) => child.entries())];
  }

  /** The same, in lines for people. */
  news(): string[] {
    const lines = this.#news.flatMap(linesOf).map(({ at, what, slot, text }) => {
      const where = slot === undefined ? "" : `slot ${slot}  `;
      return `${stamp(at)}  ${this.view.run}  ${where}${what}  ${text}`.trimEnd();
    });
    this.#news = [];
    return [...lines, ...[...this.#children.values()].flatMap((child) => child.news())];
  }

  get family(): Family {
    return { view: this.view, children: new Map([...this.#children].map(([id, child]) => [id, child.family])) };
  }
}
