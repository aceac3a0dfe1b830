import { spawn } from "node:child_process";
import { once } from "node:events";
import { CliError } from "../exit.ts";

export type PackageManager = "npm" | "pnpm" | "yarn" | "bun";

/** The one that runs us (`pnpm dlx`, `yarn dlx`, `bunx`), else npm. */
export function packageManager(userAgent: string | undefined): PackageManager {
  return (/^(npm|pnpm|yarn|bun)\//.exec(userAgent ?? "")?.[1] as PackageManager | undefined) ?? "npm";
}

/** Runs `<manager> install` in a folder; what it says goes to our standard error. */
export async function install(manager: PackageManager, folder: string, signal: AbortSignal): Promise<void> {
  const args = ["install", ...(manager === "npm" ? ["--no-audit", "--no-fund"] : [])];
  const child = spawn(manager, args, {
    cwd: folder,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32", // there they are .cmd files
    signal,
    killSignal: "SIGTERM",
  });
  const failed = (why: string, cause?: unknown) =>
    new CliError(`${manager} ${why}. The project is there: try "${manager} install" in ${folder}.`, 1, { cause });
  const [code] = await once(child, "exit").catch((cause) => {
    signal.throwIfAborted();
    throw failed("cannot be run", cause);
  });
  if (code !== 0) throw failed(`install failed with exit code ${code}`);
}
