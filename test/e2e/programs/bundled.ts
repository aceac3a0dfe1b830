/** A program with everything in it, to be bundled: see bundled.test.ts. Prints what became of a run that never ends. */
import { createCoordinator } from "@stepstream/coordinator";
import { connect, step, workflow } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { z } from "zod";

const one = step("one", { input: z.number(), output: z.number() });
const any = { input: z.any(), output: z.any() };
export const endless = workflow("endless", any, async (_input, w) => {
  await w.run(one, 1);
  for (;;);
});
export const forgets = workflow("forgets", any, async (_input, w) => {
  void w.run(one, 1);
  return "done";
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function main(): Promise<void> {
  const at = { nats: process.env.NATS_URL!, namespace: process.env.STEPSTREAM_NAMESPACE! };
  const said: { type: string; where?: string; position?: string | undefined }[] = [];
  const coordinator = createCoordinator({
    ...at,
    workflows: [endless, forgets],
    watchdog: { stallMs: 500 },
    onEvent: (event) => void said.push(event),
  });
  await coordinator.start();
  const worker = await createWorker(at)
    .handle(one, async (n) => n)
    .start();
  const client = await connect(at);
  const count = (type: string) => said.filter((event) => event.type === type).length;
  const output = await (await client.start(forgets, 1)).result();
  await until(() => count("forgotten") > 0);
  const run = await client.start(endless, 1, { id: "endless" });
  await until(() => count("stopped") > 1 || count("trouble") > 0);
  await run.terminate();
  const events = said.flatMap(({ type, where, position }) =>
    ["stopped", "forgotten", "trouble"].includes(type) ? [{ type, where, position }] : [],
  );
  process.stdout.write(JSON.stringify({ output, events }));
  await client.close();
  await coordinator.stop();
  await worker.stop();
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
