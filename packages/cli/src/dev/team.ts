import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type FSWatcher, watch } from "chokidar";
import type { Io } from "../io.ts";
import { type DevLog, readable } from "./log.ts";
import { Member } from "./member.ts";
import { workerNames } from "./worker-names.ts";

export interface TeamOptions {
  modules: readonly string[];
  url: string;
  namespace: string;
  workers: number;
  gates: boolean;
  /** Added to the environment of each process. */
  env: Readonly<Record<string, string>>;
}

/** How long running attempts may go on when a worker is to stop; then the next one gets them. */
const DRAIN_S = 2;
/** Editors write several files at once, and some of them twice. */
const SETTLE_MS = 80;

/** The processes that run the user's modules: a coordinator and workers. A change restarts those that it concerns. */
export class Team {
  readonly #members = new Map<string, Member>();
  readonly #watcher: FSWatcher;
  readonly #changed = new Set<string>();
  readonly #log: DevLog;
  readonly #cwd: string;
  #settling: NodeJS.Timeout | undefined;

  constructor({ modules, url, namespace, workers, gates, env }: TeamOptions, log: DevLog, io: Io) {
    this.#log = log;
    this.#cwd = io.cwd;
    this.#watcher = watch([], { ignoreInitial: true });
    this.#watcher.on("all", (_event, path) => this.#change(path));
    const common = ["--nats", url, "--namespace", namespace];
    const enlist = (name: string, program: string, args: string[]) =>
      this.#members.set(
        name,
        new Member({
          program: fileURLToPath(import.meta.resolve(program)),
          args: [...common, ...args, ...modules],
          cwd: io.cwd,
          env: { ...withoutNats(io.env), ...(log.coloured && { FORCE_COLOR: "1" }), ...env },
          onLine: (line, from) => {
            const { text, style } = readable(line, io.cwd);
            log.line(name, text, style ?? (from === "err" ? "red" : undefined));
          },
          onNews: (text) => log.line(name, text, "yellow"),
          onFile: (file) => void this.#watcher.add(file),
        }),
      );
    enlist("coordinator", "@stepstream/coordinator/main", []);
    for (const name of workerNames(workers))
      enlist(name, "@stepstream/step-worker/main", [
        ...["--name", name.replace("worker", "dev"), "--drain", String(DRAIN_S)],
        ...(gates ? ["--gates"] : []),
      ]);
  }

  /** Resolves when each is ready, or has failed and waits for a change. */
  async start(): Promise<void> {
    await Promise.all([...this.#members.values()].map((member) => member.start()));
  }

  async stop(): Promise<void> {
    clearTimeout(this.#settling);
    await Promise.all([this.#watcher.close(), ...[...this.#members.values()].map((member) => member.stop())]);
  }

  #change(path: string): void {
    this.#changed.add(path);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    const paths = [...this.#changed];
    this.#changed.clear();
    const concerned = [...this.#members].filter(([, member]) => member.change(paths)).map(([name]) => name);
    if (concerned.length === 0) return;
    const files = paths.map((path) => relative(this.#cwd, path)).join(", ");
    this.#log.line("dev", `${files} changed: restarting ${concerned.join(", ")}`, "bold");
  }
}

/** They are told where the server is; what the environment says of another one, and of who we are there, is not meant. */
function withoutNats(env: Io["env"]): Io["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("NATS_")));
}
