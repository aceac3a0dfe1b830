/** Makes the namespace, before anything else connects to it: with three replicas where there are three servers. */
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { namespace, nats } from "./parts.ts";

const log = await connectEventLog({ nats, namespace, replicas: 3, partitions: 16 });
console.log(`namespace ${namespace}: ${log.subjects.partitions} partitions`);
await log.close();
