import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { type RunStarted, type Trace, tamed } from "@stepstream/contracts";
import * as at from "./attributes.ts";
import { toBaggage, withBaggage } from "./baggage.ts";
import { DecisionSpans } from "./decisions.ts";
import { withIds } from "./id-generator.ts";
import { spanIdOfAttempt, spanIdOfDecision, spanIdOfPark } from "./ids.ts";
import { idsOfSpan } from "./logging/ids.ts";
import { fromTrace, toTrace } from "./propagation.ts";
import { followsParents, type RunTrace, samplerOf, traceOfRun } from "./run-trace.ts";
import type { Telemetry } from "./telemetry.ts";

export interface TracingOptions {
  namespace: string;
  tracer: Tracer;
  /** Whether the SDK takes its ids from our generator. If not, spans hang together less well, see `hook`. */
  prescribes: boolean;
}

/** Telemetry with an SDK behind it. */
export function createTracing({ namespace, tracer, prescribes }: TracingOptions): Telemetry {
  const isSampled = samplerOf(tracer);
  const follows = followsParents(tracer);
  /** By the message that the coordinator keeps of each run: worked out once per run. */
  const runs = new WeakMap<RunStarted, RunTrace & { forCommands: Trace }>();

  function runTrace(started: RunStarted, run: string) {
    let known = runs.get(started);
    if (!known) {
      const found = traceOfRun(namespace, run, started.trace, isSampled);
      known = { ...found, forCommands: toTrace(hook(found)) };
      runs.set(started, known);
    }
    return known;
  }

  /**
   * What the spans of a run hang below: its own span. Without our generator that span gets another id than
   * everybody expects; then the caller's serves, if there is one.
   */
  function hook({ own, parent }: RunTrace): SpanContext {
    return prescribes ? own : (parent ?? own);
  }

  function startSpan(ids: { spanId: string; traceId: string }, name: string, options: SpanOptions, below: Context) {
    return withIds(ids, () => tracer.startSpan(name, options, below));
  }

  /** Nobody is going to see what hangs below it. */
  function isUnseen({ traceFlags }: SpanContext): boolean {
    return follows && (traceFlags & TraceFlags.SAMPLED) === 0;
  }

  function common(run: string, workflow: string): Attributes {
    return { [at.NAMESPACE]: namespace, [at.RUN]: run, [at.WORKFLOW]: workflow };
  }

  return {
    async start({ id: run, workflow, version }, append) {
      const caller = context.active();
      const inside = trace.getSpanContext(caller);
      const below =
        inside && trace.isSpanContextValid(inside) ? undefined : traceOfRun(namespace, run, undefined, isSampled).own;
      const attributes = {
        ...common(run, workflow),
        [at.WORKFLOW_VERSION]: version,
        ...at.sending(namespace, run),
      };
      const under = below ? trace.setSpanContext(caller, below) : caller;
      const span = tracer.startSpan(`start ${workflow}`, { kind: SpanKind.PRODUCER, attributes }, under);
      const baggage = toBaggage(caller);
      // Without a caller the run is the root, and its start hangs below it, however often it is started.
      const carried = { trace: toTrace(below ?? span.spanContext()), ...(baggage && { baggage }) };
      try {
        return await context.with(trace.setSpan(under, span), () => append(carried));
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    },

    traceOf: (started, run) => runTrace(started, run).forCommands,

    decisions: (run) =>
      new DecisionSpans(namespace, nowMs, ({ started, upTo, startTime, moved, messages, events, links }) => {
        const own = runTrace(started, run);
        if (isUnseen(own.own)) return trace.wrapSpanContext(own.own);
        const attributes = {
          ...common(run, started.workflow),
          ...{ [at.UP_TO]: upTo, [at.EVENTS]: events },
          ...(moved && { [at.MOVED]: true }),
          ...at.deciding(namespace, run, messages),
        };
        const options = { kind: SpanKind.CONSUMER, startTime, attributes, links };
        const name = `decide ${started.workflow}`;
        const below = remote(hook(own));
        // One that was dropped must not look like the one that was stored, so it has an id of its own.
        if (moved) return tracer.startSpan(name, options, below);
        return startSpan({ ...own.own, spanId: spanIdOfDecision(namespace, run, upTo) }, name, options, below);
      }),

    parked({ run, started, fault, after }) {
      const own = runTrace(started, run);
      const ids = { ...own.own, spanId: spanIdOfPark(namespace, run, after) };
      const options = { attributes: common(run, started.workflow) };
      const span = startSpan(ids, `park ${started.workflow}`, options, remote(hook(own)));
      fail(span, fault);
      span.end();
    },

    runEnded({ run, started, startedAtMs, endedAtMs, outcome, error }) {
      const { own, parent } = runTrace(started, run);
      // A root asks this process's sampler, which cannot know that the client has said no.
      if (!parent && (own.traceFlags & TraceFlags.SAMPLED) === 0) return;
      const linked = started.link && fromTrace(started.link);
      const attributes = {
        ...common(run, started.workflow),
        [at.WORKFLOW_VERSION]: started.version,
        [at.OUTCOME]: outcome.replace(/^Run/, "").toLowerCase(),
        ...(started.parent && { [at.PARENT_RUN]: started.parent.run, [at.PARENT_SLOT]: started.parent.slot }),
      };
      // A foreign generator would give a root another trace id; below the derived one it stays in the trace.
      const above = parent ?? (prescribes ? undefined : own);
      const below = above ? remote(above) : ROOT_CONTEXT;
      const options = { startTime: startedAtMs, attributes, ...(linked && { links: [{ context: linked }] }) };
      const span = startSpan(own, `run ${started.workflow}`, options, below);
      if (outcome === "RunFailed") {
        span.setStatus({ code: SpanStatusCode.ERROR, ...(error ? { message: error.message } : {}) });
        if (error) span.setAttribute(at.ERROR_TYPE, error.code);
      }
      span.end(endedAtMs);
    },

    attempt(command, attempt, { deliveries, backoffMs, now = Date.now() }) {
      const below =
        (command.trace && fromTrace(command.trace)) ?? traceOfRun(namespace, command.run, undefined, isSampled).own;
      const { slot, step, workflow, compensation } = command;
      const under = trace.setSpanContext(withBaggage(context.active(), command.baggage), below);
      // What the handler does must know that it is not sampled, and have its baggage.
      if (isUnseen(below))
        return { run: (handle) => context.with(under, handle), end() {}, ids: { trace_id: below.traceId } };
      const ids = {
        traceId: below.traceId,
        spanId: spanIdOfAttempt(namespace, command.run, slot, attempt, deliveries),
      };
      const attributes = {
        ...common(command.run, workflow),
        [at.STEP]: step,
        [at.SLOT]: slot,
        ...(compensation && { [at.COMPENSATION]: true }),
        [at.ATTEMPT]: attempt,
        [at.DELIVERIES]: deliveries,
        [at.WAITED_MS]: Math.max(0, now - command.scheduledAt),
        ...(backoffMs !== undefined && { [at.BACKOFF_MS]: backoffMs }),
        ...at.processing(namespace, command.run, step, `${command.run}.${slot}.${command.attempt}`),
      };
      const name = `${compensation ? "compensate" : "attempt"} ${step}`;
      const span = startSpan(ids, name, { kind: SpanKind.CONSUMER, attributes }, under);
      return {
        run: (handle) => context.with(trace.setSpan(under, span), handle),
        get ids() {
          return idsOfSpan(span.spanContext());
        },
        end(outcome) {
          span.setAttribute(at.OUTCOME, outcome.how);
          if (outcome.how === "failed") {
            fail(span, outcome.error);
            if (outcome.retryInMs !== undefined) span.setAttribute(at.RETRY_IN_MS, outcome.retryInMs);
          }
          span.end();
        },
      };
    },
  };
}

function fail(span: Span, thrown: unknown): void {
  if (!span.isRecording()) return;
  // Its getters may throw.
  const error = thrown instanceof Error ? tamed(thrown) : thrown;
  const {
    code,
    name = "Error",
    message = String(error),
  } = (error ?? {}) as { code?: unknown; name?: string; message?: string };
  span.recordException(error instanceof Error ? error : message);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.setAttribute(at.ERROR_TYPE, typeof code === "string" ? code : name);
}

function remote(spanContext: SpanContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

/** Epoch milliseconds, with fractions. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
