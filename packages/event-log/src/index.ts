export { type Clock, sleep, systemClock } from "./clock.ts";
export { bury } from "./dead-letter.ts";
export { deniedIn } from "./denied.ts";
export type {
  Appended,
  AppendOptions,
  Backlog,
  ConnectionChange,
  ConsumeOptions,
  Consumption,
  Contents,
  Delivery,
  Denial,
  DenialReport,
  EventLog,
  Glimpse,
  NamespaceState,
  Progress,
  ReadOptions,
  Stored,
  Subscription,
} from "./port.ts";
export { Backoff, Retry, type RetryWaits } from "./retry.ts";
export { ServerClock } from "./server-clock.ts";
export { isTransient } from "./transient.ts";
export { wallOf, watchClock } from "./watch-clock.ts";
