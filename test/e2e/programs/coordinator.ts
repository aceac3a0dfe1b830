/**
 * A coordinator in a process of its own, which can be made to die at a certain moment:
 *
 *   DIE=journal:3   right after its third journal message is acknowledged, before anything of it is done
 *   DIE=command:3   right after its third command is acknowledged, before the inbox message is
 */
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { workflows } from "./workflows.ts";

const { NATS_URL, STEPSTREAM_NAMESPACE, DIE = "" } = process.env;
const log = await connectEventLog({ nats: NATS_URL!, namespace: STEPSTREAM_NAMESPACE! });
const [moment, after] = DIE.split(":");
let left = Number(after ?? 0);

const append = log.append.bind(log);
log.append = async (subject, text, options) => {
  const appended = await append(subject, text, options);
  if (subject.includes(`.${moment}.`) && --left === 0) process.kill(process.pid, "SIGKILL");
  return appended;
};

const coordinator = await createCoordinator({ log, workflows }).start();
console.log(`ready ${coordinator.id}`);
process.on("SIGTERM", async () => {
  await coordinator.stop();
  await log.close();
});
