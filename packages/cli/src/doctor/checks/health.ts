import { check, error, type Finding, FULL, mib, ok, percent, warn } from "../check.ts";
import type { Monitored } from "../monitor.ts";

/** What each server says about itself on its monitoring port. */
export const health = check<readonly Monitored[]>({
  name: "health",

  look: (target) => target.monitored(),

  judge(servers) {
    if (servers.length === 0)
      return [
        warn(
          "health",
          "no server was asked",
          "Pass --monitor with the monitoring port of each server, such as --monitor http://127.0.0.1:8222.",
        ),
      ];
    return servers.flatMap(ofServer);
  },
});

function ofServer({ url, server, silent, fault, store }: Monitored): Finding[] {
  const about = `health of ${server ?? url}`;
  if (silent !== undefined)
    return [
      error(
        about,
        `no answer from ${url} (${silent})`,
        "Start that server, or correct --monitor and http in its configuration.",
      ),
    ];
  const findings: Finding[] = [];
  if (fault !== undefined) findings.push(error(about, fault, whatToDo(fault)));
  if (store && store.used >= FULL * store.max)
    findings.push(
      error(
        about,
        `${percent(store.used / store.max)} of its max_file_store (${mib(store.max)})`,
        "Raise max_file_store, or delete runs that are over: when it is full, new runs and results are refused.",
      ),
    );
  return findings.length > 0 ? findings : [ok(about, "ok")];
}

function whatToDo(fault: string): string {
  if (/write error|no space|too large/i.test(fault))
    return (
      "Free space on its disk, then restart this nats-server: it does not write again before that. " +
      "Nothing that was acknowledged is lost. See docs/guides/deploying.md#when-a-disk-is-full."
    );
  return "Look again in a minute: after a restart or an election a server has to catch up. If it says the same, read its log.";
}
