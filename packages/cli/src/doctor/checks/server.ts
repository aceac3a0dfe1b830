import { check, error, type Finding, ok, warn } from "../check.ts";

const MIB = 1_048_576;

interface Facts {
  name: string;
  version: string;
  cluster?: string;
  maxPayload: number;
  jetstream: boolean;
}

/** Which nats-server this is, and whether Stepstream can work with it. */
export const server = check<Facts>({
  name: "server",

  async look({ nc: { info } }) {
    return {
      // A server without a name is called by its id, which says nothing.
      name: info?.server_name === info?.server_id ? "" : (info?.server_name ?? ""),
      version: info?.version ?? "0",
      ...(info?.cluster && { cluster: info.cluster }),
      maxPayload: info?.max_payload ?? 0,
      jetstream: info?.jetstream ?? false,
    };
  },

  judge({ name, version, cluster, maxPayload, jetstream }) {
    const findings: Finding[] = [];
    const [major = 0, minor = 0] = version.split(".").map(Number);
    if (major < 2 || (major === 2 && minor < 12))
      findings.push(error("server", `nats-server ${version}`, "Upgrade it: 2.12 or newer is needed."));
    if (!jetstream)
      findings.push(error("server", "JetStream is off", "Start nats-server with -js, or with a jetstream block."));
    if (maxPayload < MIB)
      findings.push(
        warn(
          "max_payload",
          `${Math.round(maxPayload / 1024)} KiB`,
          "Set max_payload to 1MB (the default) or more: below it, large journal messages are refused.",
        ),
      );
    const seen = `nats-server ${version}${name && `, ${name}`}${cluster ? ` of cluster ${cluster}` : ""}`;
    return findings.length > 0 ? findings : [ok("server", seen)];
  },
});
