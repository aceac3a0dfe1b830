import { type Machine, thisMachine } from "./machine.ts";
import { cached } from "./sources/cached.ts";
import { debian } from "./sources/debian.ts";
import { docker } from "./sources/docker.ts";
import { fromUrl } from "./sources/from-url.ts";
import { go } from "./sources/go.ts";
import { onPath } from "./sources/on-path.ts";
import { release } from "./sources/release.ts";

/** A nats-server that can be used: one that runs already, one to start, or one to run in a container. */
export type FoundNatsServer =
  | { kind: "url"; url: string }
  /** `version` is three numbers, e.g. "2.15.1". */
  | { kind: "binary"; path: string; version: string; source: string }
  | { kind: "docker"; image: string };

/** One place that nats-server may come from. */
export interface Source {
  /** What people call it; begins its line in the log. */
  readonly name: string;
  /**
   * @param announce - To be told, in one line, what comes before it takes more than a moment.
   * @throws {Error} If there is none here; the message is one line that says why.
   */
  find(machine: Machine, announce: (line: string) => void): Promise<FoundNatsServer>;
}

/** The order of the search: what is there first, then what is quick to fetch, then what always works. */
export const SOURCES: readonly Source[] = [fromUrl, onPath, cached, release, go, debian, docker];

export interface FindOptions {
  /** Default: `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Takes one line at a time. Default: silence. */
  log?: (line: string) => void;
  /** Default: this computer. */
  machine?: Machine;
  /** Default: {@link SOURCES}. */
  sources?: readonly Source[];
}

/**
 * Finds a nats-server of 2.12 or newer, or fetches one into the cache folder.
 *
 * Sources are asked in order and the first to have one wins. Nothing is logged while looking at what is already
 * there; once something has to be fetched, every source that could not help gets one line.
 *
 * @throws {NatsServerNotFoundError} If no source has one. Its message says what to install.
 */
export async function findNatsServer({
  // biome-ignore lint/style/noProcessEnv: the default of an option: tests and programs find the same server
  env = process.env,
  log = () => {},
  machine = thisMachine(env),
  sources = SOURCES,
}: FindOptions = {}): Promise<FoundNatsServer> {
  const failures: string[] = [];
  let told = 0;
  for (const source of sources) {
    const announce = (line: string) => {
      for (; told < failures.length; told++) log(failures[told]!);
      log(`nats-server, ${source.name}: ${line}`);
    };
    try {
      return await source.find(machine, announce);
    } catch (error) {
      failures.push(`nats-server, ${source.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new NatsServerNotFoundError(failures);
}

/** No source has a nats-server. Nothing was started and nothing was left half-fetched. */
export class NatsServerNotFoundError extends Error {
  readonly code = "NATS_SERVER_NOT_FOUND";
  /** One line for each source, in the order asked. */
  readonly failures: readonly string[];
  constructor(failures: readonly string[]) {
    super(
      [
        "No nats-server 2.12 or newer was found, and none could be fetched:",
        ...failures.map((line) => `  ${line}`),
        "Install one and try again:",
        "  macOS    brew install nats-server",
        "  Linux    go install github.com/nats-io/nats-server/v2@latest, or your distribution's nats-server if it is 2.12 or newer",
        "  Windows  scoop install nats-server, or choco install nats-server",
        "or start one yourself with JetStream (nats-server -js) and set NATS_URL=nats://localhost:4222.",
      ].join("\n"),
    );
    this.name = "NatsServerNotFoundError";
    this.failures = failures;
  }
}
