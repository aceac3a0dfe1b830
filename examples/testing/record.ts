import { writeFile } from "node:fs/promises";
import { createTestEnvironment, exportRun } from "@stepstream/testing";
import { handlers } from "./handlers.ts";
import { subscription } from "./subscription.ts";

/** Keeps a run's history for the test that replays it. Of a run in production: `exportRun(client.get("eva-1"))`. */
await using env = await createTestEnvironment({ workflows: [subscription], steps: handlers });
const run = await env.start(subscription, { customer: "eva", cents: 995 }, { id: "eva-1" });
await run.result();
const recorded = await exportRun(run);
await writeFile(new URL("./eva-1.history.json", import.meta.url), `${JSON.stringify(recorded, null, 2)}\n`);
