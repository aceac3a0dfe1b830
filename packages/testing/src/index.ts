export { Chance } from "./chance.ts";
export { countedMacrotask, VirtualClock } from "./clock.ts";
export type { Crash, CrashPoint, ProcessName } from "./environment/crashes.ts";
export {
  type Call,
  createTestEnvironment,
  type TestEnvironment,
  type TestEnvironmentOptions,
} from "./environment/environment.ts";
export {
  type BrokenByCrash,
  CrashError,
  NotAwaitedError,
  NothingLeftError,
  NotWithinError,
  UnhandledStepError,
} from "./environment/errors.ts";
export type { EverywhereOptions } from "./environment/everywhere.ts";
export type { Fake } from "./environment/fake.ts";
export { type Handled, type Handlers, handle, type TestContext, type TestHandler, type Virtual } from "./handlers.ts";
export { type ExportedRun, expectReplay, exportRun } from "./replay.ts";
export type {
  LiveRun,
  Outcome,
  Outside,
  Scenario,
  SimulatedRun,
  SimulatedWorld,
  Started,
} from "./simulation/scenario.ts";
export { type SimulateOptions, type Simulation, simulate } from "./simulation/simulate.ts";
export { simulateWorld } from "./simulation/world.ts";
