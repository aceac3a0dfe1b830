export {
  checkBackoff,
  checkCode,
  checkDefinition,
  checkDuration,
  checkFunction,
  checkId,
  checkKeys,
  checkMessageId,
  checkName,
  checkNamespace,
  checkObject,
  checkOneOf,
  checkOptions,
  checkSchema,
  checkText,
  checkWatchdog,
  checkWhole,
  refuse,
  TIMER,
} from "./check.ts";
export { decode, encode, encodePayload, isOfNewerVersion, isTooLongForV8, pathOf } from "./codec.ts";
export { type Duration, durationMs, RetryPolicy, TimeoutPolicy } from "./duration.ts";
export { epochMs, steadyMs } from "./epoch.ts";
export {
  CallTimeoutError,
  ChildError,
  CircuitOpenError,
  DeclaredError,
  ForbiddenInQueryError,
  ForbiddenInWorkflowError,
  InvalidInputError,
  InvalidOutputError,
  InvariantError,
  LogRefusedError,
  LogUnavailableError,
  MalformedMessageError,
  MessageTooLargeError,
  NamespaceExistsError,
  NamespaceNotFoundError,
  NonDeterminismError,
  NotRunningError,
  PartitionMismatchError,
  PermissionDeniedError,
  QueryFailedError,
  QueryUnansweredError,
  type RefusedKind,
  RemoteError,
  RunAlreadyExistsError,
  RunClosedError,
  RunNotFoundError,
  RunNotRetriedError,
  RunParkedError,
  RunStillGoingError,
  ServerTooOldError,
  SignalRefusedError,
  SlotAbandonedError,
  StalledError,
  StepCancelledError,
  StepError,
  StepstreamError,
  TimeoutError,
  type TimeoutKind,
  UnhandledRejectionError,
  UnknownWorkflowError,
  UntrackedBranchError,
  UpdateRefusedError,
  ValidationError,
  type Where,
  WorkerLostError,
  WorkflowCancelledError,
  WorkflowFailedError,
  WorkflowTerminatedError,
  WrongLastSequenceError,
} from "./errors.ts";
export { errorsIn, Failure, fromFailure, isInstance, messageOf, shortened, tamed, toFailure } from "./failure.ts";
export { deepFreeze } from "./freeze.ts";
export { Attempt, Code, EpochMs, Ms, Name, Namespace, partitionOf, RunId, Slot } from "./ids.ts";
export { decodeInbox, fromStart, isFromItsSender, isStart, SENDER_OF } from "./inbox.ts";
export { checkThoroughly, invariant, thorough } from "./invariant.ts";
export {
  isDeeperText,
  isTooLong,
  MAX_DEPTH,
  MAX_DURATION_MS,
  MAX_KEYS,
  MAX_MESSAGE_BYTES,
  MAX_MESSAGE_DEPTH,
  MAX_PAYLOAD_BYTES,
  MAX_QUERY_BYTES,
  MAX_SCHEDULE_MS,
  MAX_SLOT,
  MAX_TIME_MS,
  MAX_TIMER_MS,
} from "./limits.ts";
export * from "./messages.ts";
export { quickCheck } from "./quick-check.ts";
export { RELEASE } from "./release.ts";
export {
  OUTCOMES,
  type Outcome,
  Retention,
  RetentionRule,
  retentionOf,
  retentionRule,
  retentionRuleFor,
  retentionRuleText,
} from "./retention.ts";
export { schemaFault } from "./schema-walk.ts";
export { shown } from "./shown.ts";
export {
  DEADLINE,
  SENDERS,
  type Sender,
  type StreamKind,
  type SubjectParts,
  Subjects,
  senderOf,
} from "./subjects.ts";
export { decodeValue, encodeValue, UnsendableError } from "./value-codec.ts";
export { type Checked, checkValue, fromWire, type Invalid, isSchemaCode, toWire } from "./values.ts";
