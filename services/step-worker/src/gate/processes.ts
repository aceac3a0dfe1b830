import { execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * All processes of one command: its process group, and those that have left it (`setsid`, a shell with job control, a daemon).
 *
 * P1. Who has left the group is found by its descent, or by a mark in its environment where its parent has gone.
 * P2. What was found once is signalled again only while it is the same process: numbers are used again.
 *
 * The mark is only found where there is /proc. Elsewhere descent is all: a daemon whose parent has gone stays.
 *
 * Checked elsewhere:
 *   P1  handler.test.ts: kills what has left its process group
 *   P2  processes.test.ts: is told from another of the same number
 */
export const MARK = "STEPSTREAM_GATE";

interface Process {
  pid: number;
  parent: number;
  /** With the number it names one process: when it was started, where that is known. */
  startedAt: string;
}

export class GateProcesses {
  readonly #root: number;
  /** Where that is known without asking for it. */
  readonly #rootStartedAt: string | undefined;
  readonly #mark: string;
  readonly #found = new Map<number, Process>();

  /**
   * @param root - The command's shell, which leads its group.
   * @param mark - The value of {@link MARK} in its environment.
   */
  constructor(root: number, mark: string) {
    this.#root = root;
    this.#rootStartedAt = fromProc(root)?.startedAt;
    this.#mark = mark;
  }

  /** Sends a signal to all of them. */
  signal(name: NodeJS.Signals): void {
    if (process.platform === "win32") {
      spawn("taskkill", ["/pid", String(this.#root), "/t", "/f"], { stdio: "ignore" }).on("error", () => {});
      return;
    }
    // Before any is killed: the children of one that has gone do not show whose they were.
    this.#look();
    kill(-this.#root, name);
    for (const pid of this.#found.keys()) kill(pid, name);
  }

  /** Finds those that are there, without the shell. */
  #look(): void {
    const running = new Map(processes().map((one) => [one.pid, one]));
    const shell = running.get(this.#root);
    if (this.#rootStartedAt !== undefined && shell?.startedAt !== this.#rootStartedAt) running.delete(this.#root);
    for (const one of this.#found.values()) if (!isSame(running.get(one.pid), one)) this.#found.delete(one.pid);
    for (const one of running.values()) if (this.#isOurs(one, running)) this.#found.set(one.pid, one);
  }

  #isOurs(one: Process, running: ReadonlyMap<number, Process>): boolean {
    if (one.pid === this.#root) return false;
    for (let at = running.get(one.parent), depth = 0; at && depth < 1_000; at = running.get(at.parent), depth++)
      if (at.pid === this.#root || this.#found.has(at.pid)) return true;
    return isMarked(one.pid, this.#mark);
  }
}

/** Are both there, and the same? */
export function isSame(one: Process | undefined, other: Process | undefined): boolean {
  return one !== undefined && one.pid === other?.pid && one.startedAt === other.startedAt;
}

/** All that run on this machine, as far as it can be seen. */
export function processes(): Process[] {
  try {
    return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (fromProc(Number(name)) ?? []) : []));
  } catch {
    return fromPs();
  }
}

/** @returns undefined if it is gone. */
function fromProc(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // After the name, which may hold anything: state, parent, …; the start is the 22nd field of all.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { pid, parent: Number(fields[1]), startedAt: fields[19]! };
  } catch {
    return undefined;
  }
}

function fromPs(): Process[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,lstart="], { encoding: "utf8" }).trim().split("\n");
  return lines.map((line) => {
    const [pid, parent, ...startedAt] = line.trim().split(/\s+/);
    return { pid: Number(pid), parent: Number(parent), startedAt: startedAt.join(" ") };
  });
}

function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${MARK}=${mark}`);
  } catch {
    return false; // Another user's, or gone.
  }
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already.
  }
}
