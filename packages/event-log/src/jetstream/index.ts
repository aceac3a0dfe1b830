export type { NatsTarget } from "./link.ts";
export { type ConnectOptions, connectEventLog } from "./log.ts";
