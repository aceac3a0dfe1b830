import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { connectEventLog, fromUrls } from "@stepstream/event-log/jetstream";
import type { Io } from "../io.ts";
import { rollCall } from "../roll-call.ts";
import { banner } from "./banner.ts";
import { devBus } from "./bus.ts";
import { DevLog } from "./log.ts";
import { Narrator } from "./narrator.ts";
import { Team } from "./team.ts";
import { devTraces } from "./traces.ts";

export interface DevOptions {
  /** Absolute paths of modules that export workflows, or `handlers`, or both. */
  modules: readonly string[];
  namespace: string;
  /** A server that runs already. */
  nats: string | undefined;
  /** Of the server that is started. Default: the one of the last time, else 4222, else a free one. */
  port: number | undefined;
  /** Absolute; undefined: a temporary folder. */
  data: string | undefined;
  /** The project's folder. */
  project: string;
  workers: number;
  /** Whether workers run the commands of gates. Default: on a server of our own. */
  gates: boolean | undefined;
  /** Whether to start Jaeger. */
  traces: boolean;
}

/**
 * Everything on one machine, until `io.signal` is aborted: nats-server, a coordinator, workers.
 *
 * D1. It leaves nothing behind: it ends what it has started, last first, and if it is killed itself the reaper of `infra`
 *     kills what is left.
 * D2. Runs go on where they were when it is started again with the same `data`.
 */
export async function dev(options: DevOptions, io: Io): Promise<void> {
  const log = new DevLog(io, options.workers);
  const ends: (() => Promise<void>)[] = [];
  const interrupted = new Promise<void>((resolve) => io.signal.addEventListener("abort", () => resolve()));
  try {
    const bus = await devBus(options, io.env, (line) => log.line("nats", line));
    ends.push(bus.stop);
    const nc = await connect({ ...fromUrls(bus.url), name: "stepstream dev", maxReconnectAttempts: -1 });
    ends.push(() => nc.close());
    const events = await connectEventLog({ nats: nc, namespace: options.namespace });
    ends.push(() => events.close());
    await narrate();
    const traces = options.traces ? await devTraces((line) => log.line("traces", line, "yellow")) : undefined;
    if (traces) ends.push(traces.stop);
    const team = new Team(
      { ...options, gates: options.gates ?? bus.ours, url: bus.url, env: traces?.env ?? {} },
      log,
      io,
    );
    ends.push(() => team.stop());

    await Promise.race([team.start(), interrupted]);
    if (!io.signal.aborted) {
      const present = await rollCall(events);
      if (io.json) log.line("dev", `ready: ${bus.url}`);
      log.raw(banner({ bus, namespace: options.namespace, present, tracesAt: traces?.at }, log.paint, io.cwd));
    }
    await interrupted;
    log.line("dev", "stopping");

    /**
     * Tells what is stored, and nothing else: a start that the server refuses, because there is a run with this id, is on
     * the bus as well, and so is a signal that came twice.
     */
    async function narrate(): Promise<void> {
      let telling = tellFromNow();
      await telling;
      // The place in a stream that is gone is none in the next one.
      const lost = events.onStreamsLost!((streams) => {
        if (!streams.includes("EVENTS")) return;
        log.line("dev", "the stream of events was lost, with all runs, and exists again", "yellow");
        telling = telling.then((stop) => {
          stop().catch(() => {});
          return tellFromNow().catch((error: Error) => {
            log.line("dev", `runs are not told any more: ${error.message}`, "yellow");
            return async () => {};
          });
        });
      });
      ends.push(async () => {
        lost.stop();
        await (await telling)();
      });
    }

    /** @returns Ends it. */
    async function tellFromNow(): Promise<() => Promise<void>> {
      const narrator = new Narrator(io.cwd);
      const stream = events.subjects.streamName("EVENTS");
      // Without a filter: with several the server looks at every subject that there is.
      const consumer = await jetstream(nc).consumers.get(stream, { deliver_policy: DeliverPolicy.New });
      const messages = await consumer.consume();
      void (async () => {
        for await (const msg of messages) {
          const parts = events.subjects.parse(msg.subject);
          if (parts?.kind !== "inbox" && parts?.kind !== "journal") continue;
          const lines = narrator.tell(parts, msg.string(), io.now());
          for (const told of lines) log.line("run", told.text, told.style);
        }
      })().catch((error: Error) => log.line("dev", `runs are not told any more: ${error.message}`, "yellow"));
      return async () => void (await messages.close());
    }
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
