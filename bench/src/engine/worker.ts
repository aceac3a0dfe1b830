import { createWorker } from "@stepstream/step-worker";
import { play } from "../role.ts";
import { charge, RECEIPT } from "../shapes.ts";

await play(async ({ nats, namespace }) => {
  await createWorker({
    nats,
    namespace,
    onEvent: (event) => event.type === "trouble" && console.error(event.what, event.error),
  })
    .handle(charge, () => RECEIPT)
    .start();
  return undefined;
});
