import type { Attributes } from "@opentelemetry/api";

/**
 * Names of attributes: OpenTelemetry's conventions for messaging (1.45.0), where they say something, and our own.
 *
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
 */
export const NAMESPACE = "stepstream.namespace";
export const RUN = "stepstream.run";
export const WORKFLOW = "stepstream.workflow";
export const WORKFLOW_VERSION = "stepstream.workflow.version";
/** On a run: the run and the slot that it is a child of. */
export const PARENT_RUN = "stepstream.parent.run";
export const PARENT_SLOT = "stepstream.parent.slot";
/** completed, failed, cancelled or terminated; of an attempt: completed, failed, cancelled or handedBack. */
export const OUTCOME = "stepstream.outcome";
export const STEP = "stepstream.step";
export const SLOT = "stepstream.slot";
/** True on attempts that undo work. */
export const COMPENSATION = "stepstream.compensation";
export const ATTEMPT = "stepstream.attempt";
/** How often the command had been delivered when the attempt was made. */
export const DELIVERIES = "stepstream.deliveries";
/** From the slot's scheduling to the attempt: queueing, and all attempts before. */
export const WAITED_MS = "stepstream.waited_ms";
/** How long the failed attempt before made this one wait. */
export const BACKOFF_MS = "stepstream.backoff_ms";
/** On a failed attempt: how long until the next one. */
export const RETRY_IN_MS = "stepstream.retry_in_ms";
/** The inbox sequence up to which a decision consumed. */
export const UP_TO = "stepstream.decision.up_to";
/** How many events a decision holds. */
export const EVENTS = "stepstream.decision.events";
/** Set on a decision that another coordinator had taken already. */
export const MOVED = "stepstream.decision.moved";
export const ERROR_TYPE = "error.type";

/** A start is a message to the run's inbox. */
export function sending(namespace: string, run: string): Attributes {
  return {
    "messaging.system.name": "nats",
    "messaging.operation.name": "publish",
    "messaging.operation.type": "send",
    "messaging.destination.name": `${namespace}_EVENTS`,
    "messaging.destination.template": `${namespace}.inbox.{partition}.{run}.{sender}`,
    "messaging.message.conversation_id": run,
  };
}

/** A decision is what messages of the run's inbox cause. @param messages - How many. */
export function deciding(namespace: string, run: string, messages: number): Attributes {
  return {
    ...sending(namespace, run),
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    // The conventions want it on batches only.
    ...(messages > 1 && { "messaging.batch.message_count": messages }),
  };
}

/** An attempt is what a command, taken from the step's consumer, causes. */
export function processing(namespace: string, run: string, step: string, messageId: string): Attributes {
  return {
    "messaging.system.name": "nats",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": `${namespace}_COMMANDS`,
    "messaging.destination.template": `${namespace}.command.${step}.{partition}.{run}.{slot}`,
    "messaging.consumer.group.name": `step-${step}`,
    "messaging.message.id": messageId,
    "messaging.message.conversation_id": run,
  };
}
