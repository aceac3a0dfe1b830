export { fromUrls, type NatsTarget } from "./link.ts";
export { CONNECT_OPTIONS, type ConnectOptions, checkConnectOptions, connectEventLog } from "./log.ts";
export { DEFAULT_PARTITIONS, type StreamSpec, streamsOf } from "./streams.ts";
