import { streamsOf } from "@stepstream/event-log/jetstream";
import { probeNeeds } from "../../permissions/people.ts";
import { check, error, type Finding, ok, warn } from "../check.ts";
import { type Probed, probeStream } from "../probe.ts";

/** Whether each stream really stores a message, and removes it. A look at its settings does not show a full disk. */
export const storage = check<readonly Probed[]>({
  name: "storage",

  async look(target) {
    const specs = streamsOf(target.subjects, 1);
    // One who may store nowhere is not the one to try it: a denial would be logged for each stream.
    const isRefused = await target.refused();
    const stores = probeNeeds(target.scope);
    if (stores.every(isRefused)) return specs.map(({ name }) => notTried(name));
    // At once: a stream without a leader answers neither.
    const [probed, states] = await Promise.all([
      Promise.all(specs.map((spec) => probeStream(target, spec))),
      target.streams(),
    ]);
    const absent = states.filter(({ found, why }) => !found && why === undefined).map(({ wished }) => wished.name);
    return probed.filter(({ stream }) => !absent.includes(stream));
  },

  judge(probed) {
    const findings = probed.flatMap(ofStream);
    if (findings.length > 0) return findings;
    const slowest = Math.max(0, ...probed.map(({ tookMs }) => tookMs));
    return [ok("storage", `each stream stores and removes a message, in ${Math.round(slowest)} ms or less`)];
  },
});

function notTried(stream: string): Probed {
  return { stream, tookMs: 0, fault: { at: "store", kind: "forbidden", code: 0, why: "not permitted" } };
}

/** The server's codes for "there is no room". */
const NO_ROOM: Record<number, string> = {
  10002: "Raise max_file of the account, or delete runs that are over.",
  10023: "Raise max_file_store of the server, or delete runs that are over.",
  10047: "Raise max_file_store of the server, or delete runs that are over.",
  10077: "Raise max_bytes or max_msgs of the stream, or delete runs that are over.",
};

function ofStream({ stream, fault }: Probed): Finding[] {
  if (!fault) return [];
  const about = `storage of ${stream}`;
  const { at, kind, code, why } = fault;
  const did = at === "store" ? "a message was not stored" : "a message was stored and could not be removed";
  const seen = `${did}: ${why}${code > 0 ? ` (${code})` : ""}`;
  if (kind === "forbidden" && at === "store")
    return [warn(about, "not tried: this user may not store messages", "Run doctor as an operator to try it.")];
  if (kind === "forbidden") return [error(about, seen, "Allow it: see the findings about permissions.")];
  if (kind === "refused")
    return [error(about, seen, NO_ROOM[code] ?? "See docs/server-errors.md for what this code means.")];
  return [
    error(
      about,
      `${did}, and nats-server does not say why: ${why}`,
      "Its disk is full, or the stream has no leader. Look at /healthz (--monitor) and the log of nats-server. After a full " +
        "disk, free space and restart nats-server: it does not write again before that. See " +
        "docs/guides/deploying.md#when-a-disk-is-full.",
    ),
  ];
}
