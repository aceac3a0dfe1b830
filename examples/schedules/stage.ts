import { createCoordinator } from "@stepstream/coordinator";
import { startNatsServer } from "@stepstream/infra";
import { createWorker } from "@stepstream/step-worker";
import { report, write } from "./report.ts";

/** All that the example needs, in this one process: a server, a coordinator, a worker. */
export async function startStage(): Promise<{ nats: string; namespace: string; stop(): Promise<void> }> {
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  };
  try {
    const server = await startNatsServer();
    undo.push(server.stop);
    const bus = { nats: server.url, namespace: `schedules-${Date.now().toString(36)}` };
    // No word of schedules: every coordinator can do them.
    const coordinator = await createCoordinator({ ...bus, workflows: [report] }).start();
    undo.push(() => coordinator.stop());
    const logger = { info() {}, warn: console.error, error: console.error };
    const worker = await createWorker({ ...bus, logger })
      .handle(write, async ({ about }, { run }) => `${run}: all is well with ${about}`)
      .start();
    undo.push(() => worker.stop());
    return { ...bus, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
