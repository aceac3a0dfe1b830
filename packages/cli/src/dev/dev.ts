import { connectEventLog } from "@stepstream/event-log/jetstream";
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
  /** Of the server that is started. Default: 4222, or a free one if that is taken. */
  port: number | undefined;
  /** Absolute; undefined: a temporary folder. */
  data: string | undefined;
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
    const events = await connectEventLog({ nats: bus.url, namespace: options.namespace, name: "stepstream dev" });
    ends.push(() => events.close());
    narrate();
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
      log.raw(banner({ bus, namespace: options.namespace, present, tracesAt: traces?.at }, log.paint, io.cwd));
    }
    await interrupted;
    log.line("dev", "stopping");

    function narrate(): void {
      const narrator = new Narrator();
      const hear = (kind: "inbox" | "journal", subject: string) =>
        events.listen(subject, (text, from) => {
          const run = from.slice(from.lastIndexOf(".") + 1);
          for (const told of narrator.tell(kind, run, text, io.now())) log.line("run", told.text, told.style);
        });
      hear("inbox", `${options.namespace}.inbox.*.*`);
      hear("journal", `${options.namespace}.live.journal.*.*`);
    }
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
