export { Chance } from "./chance.ts";
export { countedMacrotask, VirtualClock } from "./clock.ts";
export { type Handled, type Handlers, handle, type TestContext, type TestHandler, type Virtual } from "./handlers.ts";
export type { LiveRun, Outcome, Outside, Scenario, SimulatedRun, Started } from "./simulation/scenario.ts";
export { type SimulateOptions, type Simulation, simulate } from "./simulation/simulate.ts";
export { simulateWorld } from "./simulation/world.ts";
