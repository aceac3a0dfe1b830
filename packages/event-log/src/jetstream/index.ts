export { fromUrls, type NatsTarget } from "./link.ts";
export { type ConnectOptions, connectEventLog } from "./log.ts";
export { DEFAULT_PARTITIONS, type StreamSpec, streamsOf } from "./streams.ts";
