import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCoordinator } from "@stepstream/coordinator";
import { startNatsServer } from "@stepstream/infra";
import { createWorker } from "@stepstream/step-worker";
import { FIXERS } from "./fixers.ts";
import { fix, fixAndRetry } from "./workflow.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** A fresh copy of the broken project, with this workspace's tools in reach. */
export async function copyProject(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "stepstream-fix-"));
  await cp(path("./project"), folder, { recursive: true });
  await symlink(path("../../node_modules"), join(folder, "node_modules"), "junction");
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface Workbench {
  nats: string;
  namespace: string;
  /** The project to repair. */
  folder: string;
  stop(): Promise<void>;
}

/** All that the example needs, in this one process: a server, a coordinator, a worker, a project. */
export async function startWorkbench(): Promise<Workbench> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  };
  try {
    const project = await copyProject();
    undo.push(project.remove);
    const server = await startNatsServer();
    undo.push(server.stop);
    const bus = { nats: server.url, namespace: `fix-${Date.now().toString(36)}` };
    const coordinator = await createCoordinator({ ...bus, workflows: [fixAndRetry] }).start();
    undo.push(() => coordinator.stop());
    const worker = await createWorker(bus)
      .gates()
      .handle(fix, async ({ folder, gate, stdout, stderr }, ctx) => {
        const repair = await FIXERS[gate]?.(folder, stdout + stderr);
        return repair ? { gate, ...repair } : ctx.fail("NoFixKnown", { gate });
      })
      .start();
    undo.push(() => worker.stop());
    return { ...bus, folder: project.folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
