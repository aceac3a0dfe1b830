/**
 * A coordinator for schedules in a process of its own, which dies by SIGKILL right after something of that kind has
 * been stored for the n-th time: `DIE=journal:3`, `DIE=inbox:2` (a timer that fired, or a run that was started).
 */
import { createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { scheduled } from "./scheduled.ts";

const { NATS_URL, STEPSTREAM_NAMESPACE, DIE = "" } = process.env;
const log = await connectEventLog({ nats: NATS_URL!, namespace: STEPSTREAM_NAMESPACE! });
const [kind, after] = DIE.split(":");
let left = Number(after);

const append = log.append.bind(log);
log.append = async (subject, text, options) => {
  const appended = await append(subject, text, options);
  if (subject.includes(`.${kind}.`) && --left === 0) process.kill(process.pid, "SIGKILL");
  return appended;
};

await createCoordinator({ log, workflows: scheduled }).start();
console.log("ready");
