/** A worker whose handler blocks the event loop for the milliseconds of its input. Logs its events as lines of JSON. */
import { step } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { z } from "zod";

export const block = step("block", { input: z.number(), output: z.number() });

if (process.argv[2] === "run") {
  const namespace = process.env.STEPSTREAM_NAMESPACE!;
  const onEvent = (event: object) => console.log(JSON.stringify(event));
  await createWorker({ nats: process.env.NATS_URL!, namespace, watchdog: { stallMs: 500 }, onEvent })
    .handle(block, async (ms) => {
      const until = performance.now() + ms;
      while (performance.now() < until);
      return ms;
    })
    .start();
  console.log('{"type":"ready"}');
}
