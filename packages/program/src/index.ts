export {
  COORDINATOR_HELP,
  connectionOfProgram,
  giveUp,
  help,
  OPTIONS_HELP,
  optionsOf,
  orGiveUp,
  WORKER_HELP,
} from "./arguments.ts";
export { logEvents, type Told, toldClock, toldConnection, toldDenial, words } from "./events.ts";
export { load } from "./load.ts";
export { asLogger, createLog, FORMATS, LEVELS, type Level, type Log } from "./log.ts";
export { type Program, startProgram } from "./program.ts";
export type { ShutdownPlan } from "./shutdown.ts";
