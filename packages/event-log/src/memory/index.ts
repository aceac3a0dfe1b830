export { MemoryConsumer, type Puller } from "./consumer.ts";
export type { Faults } from "./faults.ts";
export { MemoryLog } from "./log.ts";
export { MemoryServer, type MemoryServerOptions, type RestartOptions } from "./server.ts";
export { MemoryStream, RULES } from "./stream.ts";
