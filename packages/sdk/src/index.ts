export {
  CircuitOpenError,
  DeclaredError,
  type Duration,
  type Failure,
  InvalidInputError,
  InvalidOutputError,
  LogRefusedError,
  LogUnavailableError,
  NonDeterminismError,
  NotRunningError,
  PartitionMismatchError,
  type Progress,
  RemoteError,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
  SlotAbandonedError,
  StepCancelledError,
  StepError,
  StepstreamError,
  TimeoutError,
  ValidationError,
  WorkerLostError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from "@stepstream/contracts";
export { type Backoff, backoffMs, DEFAULT_RETRY, exponential, fixed } from "./backoff.ts";
export {
  Client,
  type ClientTelemetry,
  type ConnectOptions,
  connect,
  type ListOptions,
  type StartOptions,
} from "./client.ts";
export { type GateResult, type GateSpec, gate, runGates } from "./gate.ts";
export { type GateNode, type Pipeline, type PipelineBuilder, pipeline } from "./pipeline.ts";
export { RunHandle } from "./run-handle.ts";
export type { HistoryEntry } from "./run-history.ts";
export type { RunState, RunStatus } from "./run-status.ts";
export {
  type AnyStep,
  type BreakerPolicy,
  type HandlerInput,
  type HandlerOutput,
  nothing,
  type Step,
  type StepDefinition,
  type StepErrors,
  type StepInput,
  type StepOutput,
  step,
} from "./step.ts";
export {
  type AnyWorkflow,
  type GraphNode,
  type GroupOptions,
  type RunOptions,
  type Workflow,
  type WorkflowContext,
  type WorkflowDefinition,
  type WorkflowInput,
  type WorkflowOutput,
  workflow,
} from "./workflow.ts";
