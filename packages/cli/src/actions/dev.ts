import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DEV_FOLDER, projectFolder } from "@stepstream/program/connection";
import type { Flags } from "../commands/dev.ts";
import { namespaceOf } from "../connection.ts";
import { dev } from "../dev/dev.ts";
import { CliError, EXIT } from "../exit.ts";
import type { Io } from "../io.ts";

export async function startDev(modules: string[], flags: Flags, io: Io): Promise<void> {
  const nats = flags.nats ?? (io.env.NATS_URL || undefined);
  for (const option of ["context", "creds", "nkey", "tlsCert", "tlsCa"] as const)
    if (flags[option] !== undefined)
      throw new CliError(
        "dev takes a server by its URL alone (--nats, NATS_URL), with user and password in it if need be.",
        EXIT.usage,
      );
  if (nats !== undefined && flags.port !== undefined)
    throw new CliError("--port is of the server that dev starts, and --nats names one that runs.", EXIT.usage);
  const project = await projectFolder(io.cwd);
  await dev(
    {
      project,
      modules: await Promise.all(modules.map((module) => existing(resolve(io.cwd, module)))),
      namespace: namespaceOf(flags, io),
      nats,
      port: flags.port,
      data:
        flags.data === false
          ? undefined
          : flags.data === undefined
            ? join(project, DEV_FOLDER)
            : resolve(io.cwd, flags.data),
      workers: flags.workers,
      gates: flags.gates,
      traces: flags.traces ?? false,
    },
    io,
  );
}

async function existing(path: string): Promise<string> {
  if (
    await stat(path)
      .then((found) => found.isFile())
      .catch(() => false)
  )
    return path;
  throw new CliError(`There is no file ${path}.`, EXIT.usage);
}
