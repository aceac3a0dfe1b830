export { type KeepAlive, type Kept, startKeepAlive } from "./keep-alive/keep-alive.ts";
export { fromUrls, type NatsTarget } from "./link.ts";
export { CONNECT_OPTIONS, type ConnectOptions, checkConnectOptions, connectEventLog } from "./log.ts";
export { fromFile, isCertificateRefused, isLoginRefused, lasting } from "./login.ts";
export {
  type NamespaceInfo,
  type NamespaceSettings,
  type NamespaceStream,
  type Namespaces,
  openNamespaces,
} from "./namespaces.ts";
export { DEFAULT_PARTITIONS, PARTITIONS_KEY, type Placement, type StreamSpec, streamsOf } from "./streams.ts";
export { untilServed, type WaitOptions } from "./wait.ts";
