import { check, error, type Finding, FULL, mib, ok, percent } from "../check.ts";
import type { StreamState } from "../target.ts";

/** What must be as it is, or runs get stuck or lost; the rest is the operator's. */
const FIXED = [
  "retention",
  "storage",
  "max_msgs_per_subject",
  "discard_new_per_subject",
  "allow_direct",
  "allow_msg_schedules",
  "max_age",
  "max_consumers",
  "sealed",
  "deny_delete",
] as const;
/** What these are where nothing is said. */
const DEFAULTS: Record<string, unknown> = { sealed: false, deny_delete: false };

/** Whether each stream is there, with the settings that it needs, and has room. */
export const streams = check<readonly StreamState[]>({
  name: "streams",
  look: (target) => target.streams(),
  judge: (states) => states.flatMap(ofStream),
});

function ofStream({ wished, found, why }: StreamState): Finding[] {
  const about = `stream ${wished.name}`;
  if (why !== undefined)
    return [
      error(about, `no answer about it (${why})`, "It has no leader: start the servers of the cluster that are down."),
    ];
  if (!found)
    return [
      error(
        about,
        "it does not exist",
        "Coordinators create it again. If it was deleted with messages in it, restore a backup: these are lost.",
      ),
    ];
  const config = found.config as unknown as Record<string, unknown>;
  const findings: Finding[] = [];
  for (const field of FIXED) {
    const [want, have] = [wished[field] ?? DEFAULTS[field], config[field]];
    // The server leaves out what is as it is by default.
    if (want === undefined || (have ?? (want === false || want === 0 ? want : undefined)) === want) continue;
    // -1 and 0 both say that there is no limit.
    if (typeof want === "number" && want <= 0 && typeof have === "number" && have <= 0) continue;
    findings.push(
      error(
        about,
        `${field} is ${have}, not ${want}`,
        `Correct it: nats stream edit ${wished.name}. What cannot be edited must be created again.`,
      ),
    );
  }
  const missing = wished.subjects.filter((subject) => !found.config.subjects.includes(subject));
  if (missing.length > 0)
    findings.push(
      error(about, `it does not take ${missing.join(", ")}`, `Add the subjects: nats stream edit ${wished.name}.`),
    );
  for (const [field, used] of [
    ["max_bytes", found.state.bytes],
    ["max_msgs", found.state.messages],
  ] as const) {
    const limit = Number(config[field] ?? -1);
    if (limit > 0 && used >= FULL * limit)
      findings.push(
        error(
          about,
          `${percent(used / limit)} of its ${field}`,
          `Raise it (nats stream edit ${wished.name}), or delete runs that are over: when it is full, it refuses messages.`,
        ),
      );
  }
  if (findings.length > 0) return findings;
  const { messages, bytes } = found.state;
  return [
    ok(about, `${messages.toLocaleString("en")} messages, ${mib(bytes)}, replicas: ${found.config.num_replicas}`),
  ];
}
