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
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { RunStarted, Trace } from "@stepstream/contracts";
import * as at from "./attributes.ts";
import { withIds } from "./id-generator.ts";
import { spanIdOfAttempt, spanIdOfDecision } from "./ids.ts";
import { fromTrace, toTrace } from "./propagation.ts";
import { type RunTrace, samplerOf, traceOfRun } from "./run-trace.ts";
import type { DecisionSpan, Telemetry } from "./telemetry.ts";

export interface TracingOptions {
  namespace: string;
  tracer: Tracer;
  /** Whether the SDK takes its ids from our generator. If not, spans hang together less well, see `hook`. */
  prescribes: boolean;
}

/** Telemetry with an SDK behind it. */
export function createTracing({ namespace, tracer, prescribes }: TracingOptions): Telemetry {
  const isSampled = samplerOf(tracer);
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
      // Without a caller the run is the root, and its start hangs below it, however often it is started.
      const carried = toTrace(below ?? span.spanContext());
      return within(span, under, () => append(carried));
    },

    traceOf: (started, run) => runTrace(started, run).forCommands,

    decision(started, run, upTo, events): DecisionSpan {
      const startTime = nowMs();
      return {
        end(written = "written") {
          const own = runTrace(started, run);
          const { traceId } = own.own;
          const attributes = { ...common(run, started.workflow), [at.UP_TO]: upTo, [at.EVENTS]: events };
          const name = `decide ${started.workflow}`;
          const below = remote(hook(own));
          // One that was dropped must not look like the one that was stored, so it has an id of its own.
          const span =
            written === "moved"
              ? tracer.startSpan(name, { startTime, attributes: { ...attributes, [at.MOVED]: true } }, below)
              : startSpan(
                  { traceId, spanId: spanIdOfDecision(namespace, run, upTo) },
                  name,
                  { startTime, attributes },
                  below,
                );
          span.end(nowMs());
        },
      };
    },

    runEnded({ run, started, startedAtMs, endedAtMs, outcome, error }) {
      const { own, parent } = runTrace(started, run);
      const attributes = {
        ...common(run, started.workflow),
        [at.WORKFLOW_VERSION]: started.version,
        [at.OUTCOME]: outcome.replace(/^Run/, "").toLowerCase(),
      };
      // A foreign generator would give a root another trace id; below the derived one it stays in the trace.
      const above = parent ?? (prescribes ? undefined : own);
      const below = above ? remote(above) : ROOT_CONTEXT;
      const span = startSpan(own, `run ${started.workflow}`, { startTime: startedAtMs, attributes }, below);
      if (outcome === "RunFailed") {
        span.setStatus({ code: SpanStatusCode.ERROR, ...(error ? { message: error.message } : {}) });
        if (error) span.setAttribute(at.ERROR_TYPE, error.code);
      }
      span.end(endedAtMs);
    },

    attempt(command, attempt, deliveries, run) {
      const below =
        (command.trace && fromTrace(command.trace)) ?? traceOfRun(namespace, command.run, undefined, isSampled).own;
      const { slot, step, workflow } = command;
      const ids = {
        traceId: below.traceId,
        spanId: spanIdOfAttempt(namespace, command.run, slot, attempt, deliveries),
      };
      const attributes = {
        ...common(command.run, workflow),
        [at.STEP]: step,
        [at.SLOT]: slot,
        [at.ATTEMPT]: attempt,
        [at.DELIVERIES]: deliveries,
        [at.WAITED_MS]: Math.max(0, Date.now() - command.scheduledAt),
        ...at.processing(namespace, command.run, step, `${command.run}.${slot}.${command.attempt}`),
      };
      const under = trace.setSpanContext(context.active(), below);
      const options = { kind: SpanKind.CONSUMER, attributes };
      return within(startSpan(ids, `attempt ${step}`, options, under), under, run);
    },
  };
}

/** Runs `fn` with the span active; ends the span with what became of it. */
async function within<T>(span: Span, under: Context, fn: () => Promise<T>): Promise<T> {
  try {
    return await context.with(trace.setSpan(under, span), fn);
  } catch (error) {
    if (span.isRecording()) fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

function fail(span: Span, error: unknown): void {
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
