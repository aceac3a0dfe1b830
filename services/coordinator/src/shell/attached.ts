import { type Clock, type EventLog, wallOf } from "@stepstream/event-log";

/** Something that a coordinator uses, as long as it may: then nothing of it reaches the outside, and nothing reaches it. */
export interface Attached {
  readonly log: EventLog;
  readonly clock: Clock;
  /** From now on its calls never settle, its timers never fire, its callbacks are never called. */
  detach(): void;
}

/**
 * Code that waits for something detached waits for ever, as if its process had been killed.
 *
 * When workflow code is stopped, V8 drops the continuations of all other code that were due. What is left of them would
 * go on with half of its work undone: acknowledge a message whose turn never came to its end.
 *
 * @param isStopping - Code is being stopped, and nothing could be called to say so: counts as detached.
 */
export function attach(log: EventLog, clock: Clock, isStopping: () => boolean = () => false): Attached {
  let detached = false;
  const isAttached = () => !detached && !isStopping();
  const never = new Promise<never>(() => {});
  const call = <A extends unknown[], R>(fn: (...args: A) => Promise<R>) => {
    const bound = fn.bind(log);
    return (...args: A): Promise<R> => (isAttached() ? bound(...args) : never);
  };
  const called = <A extends unknown[], R>(fn: (...args: A) => R) => {
    return (...args: A) => (isAttached() ? fn(...args) : (undefined as R));
  };
  return {
    log: {
      subjects: log.subjects,
      get serverId() {
        return log.serverId;
      },
      serverNow: () => log.serverNow(),
      append: call(log.append),
      read: call(log.read),
      last: call(log.last),
      lasts: call(log.lasts),
      list: call(log.list),
      count: call(log.count),
      oldest: call(log.oldest),
      scan: call(log.scan),
      ...(log.namespace && { namespace: call(log.namespace) }),
      remove: call(log.remove),
      setTimer: call(log.setTimer),
      ...(log.contents && {
        contents: { runs: call(log.contents.runs), remove: call(log.contents.remove) },
      }),
      timerAt: call(log.timerAt),
      cancelTimer: call(log.cancelTimer),
      progress: call(log.progress),
      backlog: call(log.backlog),
      ask: call(log.ask),
      close: call(log.close),
      consume: (options) =>
        isAttached()
          ? log.consume({
              ...options,
              demand: () => (isAttached() ? options.demand() : 0),
              onDelivery: called(options.onDelivery),
              ...(options.onInterrupted && { onInterrupted: called(options.onInterrupted) }),
            })
          : never,
      broadcast: called((subject, text) => log.broadcast(subject, text)),
      listen: (subject, onMessage) => log.listen(subject, called(onMessage)),
      answer: (subject, reply) => log.answer(subject, (text, at) => (isAttached() ? reply(text, at) : never)),
      denials: () => log.denials(),
      onError: (fn) => log.onError(called(fn)),
      onReconnect: (fn) => log.onReconnect(called(fn)),
      followJournal: (run, onStored) => log.followJournal(run, called(onStored)),
    },
    clock: {
      now: () => clock.now(),
      ...(clock.wall && { wall: () => wallOf(clock) }),
      random: () => clock.random(),
      setTimeout: (fn, ms) => clock.setTimeout(() => isAttached() && fn(), ms),
      clearTimeout: (handle) => clock.clearTimeout(handle),
    },
    detach() {
      detached = true;
    },
  };
}
