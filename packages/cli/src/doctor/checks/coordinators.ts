import type { Present } from "../../roll-call.ts";
import { check, error, type Finding, ok, some, warn } from "../check.ts";

type Facts = Present;

/** Whether there are coordinators, and all of them have the same code. */
export const coordinators = check<Facts>({
  name: "coordinators",

  look: (target) => target.present(),

  judge({ coordinators, workers }) {
    if (coordinators.size === 0)
      return [
        error(
          "coordinators",
          "no coordinator answers",
          "Start one, or two for failover: no run continues without. One that runs and does not answer is cut off or blocked: read its log.",
        ),
      ];
    const findings = [...differences([...coordinators]), ...releases({ coordinators, workers })];
    if (findings.length > 0) return findings;
    const names = [...new Set([...coordinators.values()].flatMap(({ workflows }) => workflows))].filter(isUsers).sort();
    const seen = `${coordinators.size} up, for ${names.join(", ") || "no workflows"}`;
    return coordinators.size === 1
      ? [warn("coordinators", seen, "In production start two or more: another takes over within six seconds.")]
      : [ok("coordinators", seen)];
  },
});

/** Stepstream has workflows of its own. */
function isUsers(workflow: string): boolean {
  return !workflow.startsWith("_");
}

type Coordinators = [string, { workflows: readonly string[]; code: Readonly<Record<string, string>> }][];

const FINISH = "Finish the deployment, so that all coordinators have the same code.";

function differences(coordinators: Coordinators): Finding[] {
  const all = [...new Set(coordinators.flatMap(([, { workflows }]) => workflows))].filter(isUsers).sort();
  return all.flatMap((workflow) => {
    const having = coordinators.filter(([, { workflows }]) => workflows.includes(workflow));
    const lacking = coordinators.filter(([, { workflows }]) => !workflows.includes(workflow)).map(([id]) => id);
    const findings: Finding[] = [];
    if (lacking.length > 0)
      findings.push(
        error(
          "code versions",
          `${workflow} is run by ${having.length} of ${coordinators.length} coordinators, and not by ${some(lacking)}`,
          `${FINISH} Until then the others delegate its runs.`,
        ),
      );
    const codes = new Set(having.flatMap(([, { code }]) => code[workflow] ?? []));
    if (codes.size > 1)
      findings.push(
        error(
          "code versions",
          `${workflow} has ${codes.size} different codes in ${some(having.map(([id, { code }]) => `${id} (${code[workflow]})`))}`,
          `${FINISH} If the change is not compatible, runs are parked: give the workflow a new version (docs/guides/versioning.md).`,
        ),
      );
    return findings;
  });
}

function releases({ coordinators, workers }: Facts): Finding[] {
  const by = new Map<string, string[]>();
  for (const [kind, processes] of [
    ["coordinator", coordinators],
    ["worker", workers],
  ] as const)
    for (const [name, { release = "older than 0.1.0" }] of processes)
      by.set(release, [...(by.get(release) ?? []), `${kind} ${name}`]);
  if (by.size <= 1) return [];
  const seen = [...by].map(([release, names]) => `${release}: ${some(names, 3)}`).join("; ");
  return [error("releases", `processes run ${by.size} releases of Stepstream: ${seen}`, "Finish the upgrade.")];
}
