export { cacheFolder } from "./cache.ts";
export {
  type FindOptions,
  type FoundNatsServer,
  findNatsServer,
  NatsServerNotFoundError,
  type Source,
} from "./find.ts";
export { type FindJaegerOptions, type FoundJaeger, findJaeger, JaegerNotFoundError } from "./jaeger/find.ts";
export { type Jaeger, type StartJaegerOptions, startJaeger } from "./jaeger/start.ts";
export { type ClusterOptions, type NatsCluster, startNatsCluster } from "./server/cluster.ts";
export { serverPort } from "./server/ports.ts";
export { untilReady } from "./server/ready.ts";
export { tellReaper } from "./server/reaping.ts";
export { type NatsServer, type StartOptions, startNatsServer } from "./start.ts";
export { NATS_IMAGE, NATS_VERSION, NATS_VERSION_MIN } from "./version.ts";
