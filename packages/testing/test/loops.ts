// Run by Node itself: see loops.test.ts. Prints what a test is told that waits while a workflow loops without end.
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";
import { createTestEnvironment } from "../src/index.ts";

const kinds: Record<string, (w: any) => unknown> = {
  uuid: (w) => {
    for (;;) w.uuid();
  },
  now: (w) => {
    for (;;) w.now();
  },
  while: () => {
    for (;;);
  },
};
const one = step("one", { input: z.any(), output: z.any() });
const loops = workflow(
  "loops",
  {
    input: z.any(),
    output: z.any(),
    queries: { look: z.any() },
    updates: { change: { input: z.any(), output: z.any() } },
    signals: { go: z.any() },
  },
  async ({ kind, when }, w) => {
    w.onQuery("look", () => kinds[kind]!(w));
    w.onUpdate("change", () => kinds[kind]!(w) as any);
    if (when === "atOnce") return kinds[kind]!(w);
    if (when === "step" || when === "handler") await w.run(one, 1);
    else await w.waitFor("go");
    return when === "handler" ? 1 : kinds[kind]!(w);
  },
);

/** Of the CPU's time: a process that gets little of it is not blamed until later. */
function busy(ms: number): void {
  const used = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1_000;
  for (const before = process.cpuUsage(); used(process.cpuUsage(before)) < ms; );
}

const [kind, when, how] = process.argv.slice(2) as [string, string, string];
await using env = await createTestEnvironment({ workflows: [loops] });
env.fake(one, async () => (when === "handler" ? busy(4_000) : 1));
const start = () => env.start(loops, { kind, when }, { id: "r1" });
const waits: Record<string, () => Promise<unknown>> = {
  result: async () => (await start()).result(),
  signal: async () => {
    const run = await start();
    await run.signal("go", 1);
    await run.result();
  },
  update: async () => {
    await start();
    await env.client.handle(loops, "r1").update("change", 1);
  },
  query: async () => {
    await start();
    await env.client.handle(loops, "r1").query("look");
  },
};
const error = await waits[how]!().then(
  () => undefined,
  (error: Error) => error,
);
// The watching thread looks every 250 ms whether it is over.
while (when === "handler" && env.warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
process.stdout.write(`${error?.message ?? "no error"}\n${env.warnings}\n`);
