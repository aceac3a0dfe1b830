import type { ConsumerInfo, StreamInfo } from "@nats-io/jetstream";
import type { StreamSpec } from "@stepstream/event-log/jetstream";
import type { Facts, Finding } from "./facts.ts";

/** Clocks further apart than this make time-outs of steps wrong by as much. */
const SKEW_MS = 1_000;
const FULL = 0.8;
const MIB = 1_048_576;

/** What the facts mean, in the order in which one would look. Pure. */
export function judge(facts: Facts): Finding[] {
  return [
    ...server(facts),
    ...clock(facts),
    ...facts.streams.flatMap(({ wished, found }) => stream(wished, found)),
    ...storage(facts),
    ...permissions(facts),
    ...coordinators(facts),
    ...workers(facts),
    ...troubled(facts),
  ];
}

const ok = (about: string, seen: string): Finding => ({ level: "ok", about, seen });
const warn = (about: string, seen: string, todo: string): Finding => ({ level: "warn", about, seen, todo });
const error = (about: string, seen: string, todo: string): Finding => ({ level: "error", about, seen, todo });

function server({ server, account }: Facts): Finding[] {
  const { name, version, cluster, maxPayload, jetstream } = server;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const findings: Finding[] = [];
  if (major < 2 || (major === 2 && minor < 12))
    findings.push(error("server", `nats-server ${version}`, "Upgrade it: 2.12 or newer is needed."));
  else
    findings.push(
      ok("server", `nats-server ${version}${name && `, ${name}`}${cluster ? ` of cluster ${cluster}` : ""}`),
    );
  if (!jetstream) findings.push(error("jetstream", "is off", "Start nats-server with -js, or a jetstream block."));
  if (account) {
    const { storage, maxStorage } = account;
    if (maxStorage > 0 && storage > FULL * maxStorage)
      findings.push(
        warn(
          "storage",
          `${percent(storage / maxStorage)} of the ${mib(maxStorage)} that the account may store`,
          "Raise the limit, or delete runs that are over: a full stream refuses new runs and results.",
        ),
      );
    else findings.push(ok("storage", `${mib(storage)} stored${maxStorage > 0 ? ` of ${mib(maxStorage)}` : ""}`));
  }
  if (maxPayload < MIB)
    findings.push(
      warn(
        "max_payload",
        `${Math.round(maxPayload / 1024)} KiB`,
        "Set max_payload to 1MB (the default) or more: large journal messages are refused below it.",
      ),
    );
  return findings;
}

function clock({ skewMs, rttMs }: Facts): Finding[] {
  if (skewMs === undefined) return [];
  const seen = `this machine and the server differ by ${Math.round(Math.abs(skewMs))} ms (known to ±${Math.ceil(rttMs / 2)} ms)`;
  if (Math.abs(skewMs) - rttMs / 2 < SKEW_MS) return [ok("clock", seen)];
  return [
    warn("clock", seen, "Run NTP on both. Workers hold a step's total and queue time-outs against their own clock."),
  ];
}

/** What must be as it is, or runs get stuck or lost; the rest is the operator's. */
const FIXED = [
  "retention",
  "storage",
  "max_msgs_per_subject",
  "discard_new_per_subject",
  "allow_direct",
  "allow_msg_schedules",
  "max_age",
] as const;

function stream(wished: StreamSpec, found: StreamInfo | undefined): Finding[] {
  const about = `stream ${wished.name}`;
  if (!found) return [error(about, "is not there", "Start a coordinator, worker or client: it makes what is missing.")];
  const config = found.config as unknown as Record<string, unknown>;
  const findings: Finding[] = [];
  for (const field of FIXED) {
    const [want, have] = [wished[field], config[field]];
    // The server leaves out what is as it is by default.
    if (want === undefined || (have ?? (want === false || want === 0 ? want : undefined)) === want) continue;
    // -1 and 0 both say that there is no limit.
    if (typeof want === "number" && want <= 0 && typeof have === "number" && have <= 0) continue;
    findings.push(
      error(about, `${field} is ${have}, not ${want}`, `nats stream edit ${wished.name}, or make it anew.`),
    );
  }
  const missing = wished.subjects.filter((subject) => !(config.subjects as string[]).includes(subject));
  if (missing.length > 0)
    findings.push(error(about, `does not take ${missing.join(", ")}`, `Add the subjects to ${wished.name}.`));
  for (const [field, used] of [
    ["max_bytes", found.state.bytes],
    ["max_msgs", found.state.messages],
  ] as const) {
    const limit = Number(config[field] ?? -1);
    if (limit > 0 && used > FULL * limit)
      findings.push(warn(about, `${percent(used / limit)} of its ${field}`, "Raise it, or delete runs that are over."));
  }
  findings.push(...replicas(about, found));
  if (findings.length > 0) return findings;
  const { messages, bytes } = found.state;
  return [
    ok(about, `${messages.toLocaleString("en")} messages, ${mib(bytes)}, ${found.config.num_replicas} replica(s)`),
  ];
}

function replicas(about: string, { config, cluster }: StreamInfo): Finding[] {
  if (config.num_replicas <= 1) return [];
  if (!cluster?.leader) return [error(about, "has no leader", "Bring the servers of the cluster back up.")];
  return (cluster.replicas ?? []).flatMap((peer) => {
    if (peer.offline) return [error(about, `replica on ${peer.name} is offline`, "Bring that server back up.")];
    if (!peer.current) return [warn(about, `replica on ${peer.name} lags by ${peer.lag ?? 0}`, "It should catch up.")];
    return [];
  });
}

function storage({ streams, syncInterval }: Facts): Finding[] {
  const counts = streams.flatMap(({ found }) => (found ? [found.config.num_replicas] : []));
  const least = Math.min(...counts);
  if (least >= 3) return [ok("durability", `${least} replicas of every stream`)];
  if (syncInterval === "always")
    return [ok("durability", "every acknowledgement is on the disk (sync_interval: always)")];
  const seen =
    syncInterval === undefined
      ? "one replica; how often the server syncs to disk is not known (see --monitor)"
      : `one replica, synced to disk every ${syncInterval}`;
  return [
    warn(
      "durability",
      seen,
      "A killed process loses nothing, a power cut can. In production: three replicas, or sync_interval: always.",
    ),
  ];
}

function permissions({ forbidden }: Facts): Finding[] {
  if (forbidden.length === 0) return [ok("permissions", "all that is needed is allowed")];
  return forbidden.map(({ what, why }) =>
    error("permissions", `${what}: ${why}`, "Allow the user <ns>.>, $JS.API.>, $JS.ACK.>, $O.> and _INBOX.>."),
  );
}

function coordinators({ coordinators, inboxes, partitions }: Facts): Finding[] {
  const findings: Finding[] = [];
  const names = [...new Set([...coordinators.values()].flat())].filter((one) => !one.startsWith("_")).sort();
  if (coordinators.size === 0)
    findings.push(error("coordinators", "none has answered", "Start one: nothing goes on without."));
  else {
    const seen = `${coordinators.size} up, for ${names.join(", ") || "no workflows"}`;
    findings.push(
      coordinators.size === 1
        ? warn("coordinators", seen, "In production start two or more: another takes over within six seconds.")
        : ok("coordinators", seen),
    );
  }
  const untouched = inboxes.filter(({ info, messages }) => !info && messages > 0);
  if (untouched.length > 0)
    findings.push(
      error(
        "partitions",
        `${untouched.map(({ partition }) => partition).join(", ")} hold messages and have never had a coordinator`,
        "Start a coordinator.",
      ),
    );
  const behind = inboxes.filter(({ info }) => (info?.num_pending ?? 0) > 1_000);
  for (const { partition, info } of behind)
    findings.push(
      warn(
        `partition ${partition}`,
        `${info!.num_pending.toLocaleString("en")} messages wait for its coordinator`,
        "If it does not shrink, start more coordinators.",
      ),
    );
  if (findings.length <= 1 && coordinators.size > 0) {
    const waiting = inboxes.reduce((sum, { info }) => sum + (info?.num_pending ?? 0), 0);
    findings.push(ok("partitions", `${partitions}, ${waiting} messages wait for their coordinator`));
  }
  return findings;
}

function workers({ workers, commands, steps }: Facts): Finding[] {
  const served = new Set([...workers.values()].flat().map(({ step }) => step));
  const findings: Finding[] = [];
  for (const [step, count] of commands)
    if (!served.has(step))
      findings.push(error(`step ${step}`, `${count} commands are out, and no worker that is up does it`, "Start one."));
  const open = [...workers].flatMap(([worker, its]) =>
    its.filter(({ breaker }) => breaker === "open").map(({ step }) => `${step} in ${worker}`),
  );
  if (open.length > 0)
    findings.push(
      warn(
        "circuit breakers",
        `open: ${open.join(", ")}`,
        "Look at what these steps call; they try again by themselves.",
      ),
    );
  findings.push(...steps.flatMap(stuck));
  if (findings.length > 0) return findings;
  return [
    workers.size > 0
      ? ok("workers", `${workers.size} up, for ${[...served].sort().join(", ")}`)
      : warn("workers", "none has answered", "Start one, if your workflows have steps."),
  ];
}

function stuck(info: ConsumerInfo): Finding[] {
  const limit = info.config.max_ack_pending ?? -1;
  if (limit <= 0 || info.num_ack_pending < FULL * limit) return [];
  return [
    warn(
      `step ${info.name.replace(/^step-/, "")}`,
      `${info.num_ack_pending} of ${limit} commands that may be out at a time are`,
      "Attempts that wait for their retry count: look at what fails.",
    ),
  ];
}

function troubled({ parked, deadLetters }: Facts): Finding[] {
  const findings: Finding[] = [];
  if (parked.length > 0)
    findings.push(
      warn(
        "parked runs",
        `${parked.length}: ${parked.slice(0, 5).join(", ")}${parked.length > 5 ? ", …" : ""}`,
        "stepstream show <run> says why.",
      ),
    );
  if (deadLetters > 0) findings.push(warn("dead letters", `${deadLetters}`, "stepstream dead ls"));
  return findings.length > 0 ? findings : [ok("runs", "none is parked, and there are no dead letters")];
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
