import { type Needs, NONE } from "./need.ts";

/** Takes the commands of its steps and reports what comes of them. */
export function worker(needs: Needs): void {
  const { ns, commands, scope } = needs;
  const { subjects } = scope;
  needs.stores(`${ns}.inbox.0.${NONE}.worker`, `${ns}.inbox.*.*.worker`, "results of steps cannot be reported");
  needs.stores(subjects.attempts(NONE, 1), `${ns}.attempts.>`, "failed attempts and heartbeats cannot be recorded");
  needs.stores(`${ns}.blob.${NONE}`, `${ns}.blob.>`, "large outputs are refused");
  needs.sends(subjects.workers, subjects.workers, "doctor and queue do not see it");
  needs.receives(subjects.rollCall, subjects.rollCall, "doctor and queue do not see it");
  needs.receives(subjects.all.cancels(), subjects.all.cancels(), "cancelled handlers run on until they end");
  for (const step of scope.steps.length > 0 ? scope.steps : ["*"]) {
    const isAll = step === "*";
    const one = isAll ? NONE : step;
    const [name, consumer] = isAll ? [NONE, "*"] : [subjects.stepConsumer(step), subjects.stepConsumer(step)];
    const filter = subjects.all.commandsOfStep;
    needs.stores(
      subjects.dead(one, NONE, 1),
      `${ns}.dead.${step}.>`,
      "commands that cannot be read come again and again",
    );
    needs.sends(subjects.breaker(one), subjects.breaker(step), "changes of circuit breakers are not reported");
    needs.asks("CONSUMER.CREATE", commands, "it cannot take commands", {
      rest: `${name}.${filter(one)}`,
      allow: `${consumer}.${filter(step)}`,
    });
    needs.asks("CONSUMER.INFO", commands, "it cannot take commands", { rest: name, allow: consumer });
    needs.asks("CONSUMER.MSG.NEXT", commands, "it gets no commands", { rest: name, allow: consumer });
    needs.acks(commands, consumer, "each command is redelivered and its handler runs again");
  }
}
