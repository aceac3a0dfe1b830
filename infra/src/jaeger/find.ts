import { existsSync } from "node:fs";
import { type Machine, thisMachine } from "../machine.ts";
import { buildJaeger } from "./build.ts";
import { cachedJaeger, versionOfJaeger } from "./version.ts";

/** A Jaeger that can be started: one process that takes spans, keeps them in memory, and shows them. */
export interface FoundJaeger {
  readonly path: string;
  /** As it says itself, e.g. "v2.13.0". */
  readonly version: string;
  readonly source: "PATH" | "cache" | "go build";
}

export interface FindJaegerOptions {
  /**
   * Build it with Go where it is not there: some ten minutes and 4 GB of room meanwhile, 85 MB afterwards. Default:
   * false.
   */
  build?: boolean;
  /** How long the compiler may take, in milliseconds. Default: half an hour. */
  buildMs?: number;
  /** Takes one line at a time. Default: silence. */
  log?: (line: string) => void;
  /** Default: this computer. */
  machine?: Machine;
}

/**
 * Finds Jaeger 2: on the PATH, in the cache folder, or, if asked, built from source by Go into the cache folder.
 *
 * @throws {JaegerNotFoundError} If it is nowhere. Its message says what to do.
 */
export async function findJaeger(options: FindJaegerOptions = {}): Promise<FoundJaeger> {
  const { build = false, buildMs = 1_800_000, log = () => {}, machine = thisMachine() } = options;
  const cached = cachedJaeger(machine);
  const sources: [FoundJaeger["source"], () => Promise<string>][] = [
    ["PATH", async () => "jaeger"],
    [
      "cache",
      async () => {
        if (!existsSync(cached)) throw new Error(`nothing in ${cached} yet`);
        return cached;
      },
    ],
  ];
  if (build) sources.push(["go build", () => buildJaeger(machine, buildMs, log)]);
  const failures: string[] = [];
  for (const [source, find] of sources) {
    try {
      const path = await find();
      return { path, version: await versionOfJaeger(machine, path), source };
    } catch (error) {
      failures.push(`${source}: ${(error as Error).message}`);
    }
  }
  throw new JaegerNotFoundError(failures);
}

/** There is no Jaeger 2 here. Nothing was started and nothing was left half-built. */
export class JaegerNotFoundError extends Error {
  readonly code = "JAEGER_NOT_FOUND";
  /** One line for each place, in the order asked. */
  readonly failures: readonly string[];
  constructor(failures: readonly string[]) {
    super(
      [
        "No Jaeger 2 was found:",
        ...failures.map((line) => `  ${line}`),
        "Put `jaeger` from https://www.jaegertracing.io/download/ on the PATH, or run it in a container:",
        "  docker run -d -p 16686:16686 -p 4318:4318 jaegertracing/jaeger",
      ].join("\n"),
    );
    this.name = "JaegerNotFoundError";
    this.failures = failures;
  }
}
