export { decode, pathOf } from "./codec.ts";
export { type Duration, durationMs, RetryPolicy, TimeoutPolicy } from "./duration.ts";
export {
  CircuitOpenError,
  DeclaredError,
  ForbiddenInWorkflowError,
  InvalidInputError,
  InvalidOutputError,
  LogRefusedError,
  LogUnavailableError,
  MalformedMessageError,
  NonDeterminismError,
  NotRunningError,
  PartitionMismatchError,
  RemoteError,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
  ServerTooOldError,
  SlotAbandonedError,
  StalledError,
  StepCancelledError,
  StepError,
  StepstreamError,
  TimeoutError,
  type TimeoutKind,
  UnknownWorkflowError,
  ValidationError,
  type Where,
  WorkerLostError,
  WorkflowCancelledError,
  WorkflowFailedError,
  WrongLastSequenceError,
} from "./errors.ts";
export { Failure, fromFailure, toFailure } from "./failure.ts";
export { Attempt, Code, EpochMs, Ms, Name, Namespace, partitionOf, RunId, Slot } from "./ids.ts";
export * from "./messages.ts";
export { DEADLINE, type StreamKind, type SubjectParts, Subjects } from "./subjects.ts";
