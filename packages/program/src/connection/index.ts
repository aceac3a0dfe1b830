export { type Connection, connectionOf, DEFAULT_URL } from "./connection.ts";
export { DEV_FOLDER, devServer, isAlive, projectFolder } from "./dev-server.ts";
export {
  CONNECTION_FLAGS,
  COORDINATOR_FLAGS,
  type Flag,
  NAMESPACE_FLAG,
  type NatsFlags,
  PROGRAM_FLAGS,
  WAIT_FLAG,
  WORKER_FLAGS,
} from "./flags.ts";
export { UsageError } from "./usage-error.ts";
