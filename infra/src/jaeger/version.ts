import { join } from "node:path";
import type { Machine } from "../machine.ts";

/** The Jaeger that is built where none is found. Its Go module still counts from 1; this is the module of 2.13.0. */
export const JAEGER_VERSION = "2.13.0";
export const JAEGER_MODULE = "github.com/jaegertracing/jaeger@v1.76.0";

/** Where a built Jaeger is kept. */
export function cachedJaeger({ cache, platform }: Machine): string {
  return join(cache, "jaeger", JAEGER_VERSION, platform === "win32" ? "jaeger.exe" : "jaeger");
}

/**
 * Asks a Jaeger for its version.
 *
 * @throws {Error} If it does not run, or is no Jaeger 2.
 */
export async function versionOfJaeger(machine: Machine, path: string): Promise<string> {
  // The first start of a fresh binary of 85 MB may take its time.
  const text = await machine.run(path, ["version"], { timeoutMs: 30_000 });
  const version = /"gitVersion":\s*"(v\d+\.\d+\.\d+[^"]*)"/.exec(text)?.[1];
  if (!version) throw new Error(`${path} version names no version`);
  if (!version.startsWith("v2.")) throw new Error(`${version} is no Jaeger 2`);
  return version;
}
