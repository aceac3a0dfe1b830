import type { Present } from "../../roll-call.ts";
import { check, error, ok, some } from "../check.ts";

/** Whether nats-server denies something to the users of the processes, which are seldom the user of this command. */
export const denied = check<Present>({
  name: "denied",

  look: (target) => target.present(),

  judge({ coordinators, workers }) {
    const to = new Map<string, string[]>();
    for (const [kind, processes] of [
      ["coordinator", coordinators],
      ["worker", workers],
    ] as const)
      for (const [name, { denied }] of processes)
        for (const permission of denied) to.set(permission, [...(to.get(permission) ?? []), `${kind} ${name}`]);
    if (to.size === 0) return [ok("denied", "nothing was denied to the processes in the last minute")];
    return [...to].map(([permission, names]) => {
      const [operation, subject] = permission.split(" ");
      return error(
        "denied",
        `${operation} to ${subject} was denied to ${some(names, 3)} in the last minute`,
        `Allow their user to ${operation} to ${subject}, and reload nats-server. They try again by themselves.`,
      );
    });
  },
});
