/**
 * What a practice is played on: a coordinator and a worker in this process, in a namespace of their own on a
 * nats-server that is there already. All of it is gone when the play is over, well or badly.
 */

import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { type AnyWorkflow, type Client, connect } from "@stepstream/sdk";
import { createWorker, type LoggerOption, type Worker, type WorkerEvent } from "@stepstream/step-worker";

export interface Stage {
  readonly bus: { nats: string; namespace: string };
  readonly client: Client;
  /** What the worker has done so far, in order. */
  readonly events: readonly WorkerEvent[];
  /** Starts a coordinator for the workflows and, if there are handlers, a worker with them. Once for each play. */
  serve(workflows: readonly AnyWorkflow[], handlers?: (worker: Worker) => Worker): Promise<void>;
  /** Resolves once the worker has done something that fits, be it in the past. */
  until(fits: (event: WorkerEvent) => boolean): Promise<void>;
  /** A line for whoever looks on. */
  say(line: string): void;
}

export async function onStage<T>(
  nats: string,
  play: (stage: Stage) => Promise<T>,
  say: (line: string) => void = () => {},
): Promise<T> {
  const bus = {
    nats,
    namespace: `practice-${Date.now().toString(36)}-${Math.floor(Math.random() * 1e6).toString(36)}`,
  };
  const events: WorkerEvent[] = [];
  const waiting = new Set<() => void>();
  const undo: (() => Promise<unknown>)[] = [];

  const onEvent = (event: WorkerEvent) => {
    events.push(event);
    for (const look of waiting) look();
  };
  const line = (message: string, fields: object = {}) => say(`${message} ${JSON.stringify(fields)}`);
  const logger: LoggerOption = { info: line, warn: line, error: line };
  const stage: Stage = {
    bus,
    client: await connect(bus),
    events,
    say,
    async serve(workflows, handlers) {
      const coordinator: Coordinator = await createCoordinator({ ...bus, workflows }).start();
      undo.push(() => coordinator.stop());
      if (!handlers) return;
      const worker = await handlers(createWorker({ ...bus, logger, onEvent })).start();
      undo.push(() => worker.stop({ drainMs: 0 }));
    },
    until: (fits) =>
      new Promise((resolve) => {
        const look = () => {
          if (!events.some(fits)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
  undo.push(() => stage.client.close());
  try {
    return await play(stage);
  } finally {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  }
}
