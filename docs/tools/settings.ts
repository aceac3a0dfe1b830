import {
  CONNECTION_FLAGS,
  COORDINATOR_FLAGS,
  type Flag,
  NAMESPACE_FLAG,
  OTHER_VARIABLES,
  PROGRAM_FLAGS,
  WAIT_FLAG,
  WORKER_FLAGS,
} from "@stepstream/program/flags";

type Row = Omit<Flag, "variable"> & { variable?: string };

/** Every option of a connection and of the programs, and every variable of the environment. */
export function settingsPage(): string {
  return [
    "# Settings",
    "",
    "What `stepstream`, `stepstream-coordinator` and `stepstream-worker` take. An option counts before its variable, and that",
    "before a context. What each command of `stepstream` takes beside is in [its reference](cli.md).",
    "",
    "## Where to connect, and as whom: all three",
    "",
    ...rows([...CONNECTION_FLAGS, NAMESPACE_FLAG, WAIT_FLAG]),
    "",
    "Of `--connect-timeout` the default is not to wait for `stepstream`, and as long as it takes for the programs. A URL may have",
    "`user:password@` or `token@` in it, which counts before the variables. A context is a file of the `nats` command",
    "(`nats context add`); its `jetstream_domain`, `jetstream_api_prefix`, `socks_proxy` and `nsc` are refused. Credentials and the",
    "seed of an nkey are read again at each login.",
    "",
    "## Both programs",
    "",
    ...rows([
      ...PROGRAM_FLAGS,
      { name: "quiet", value: "", about: "only what is wrong is logged: `--log-level warn`" },
    ]),
    "",
    "## The coordinator",
    "",
    ...rows(COORDINATOR_FLAGS),
    "",
    "## The worker",
    "",
    ...rows(WORKER_FLAGS),
    "",
    "## Other variables",
    "",
    "| variable | |",
    "| --- | --- |",
    ...Object.entries(OTHER_VARIABLES).map(([name, about]) => `| \`${name}\` | ${about} |`),
    "",
    "Those of OpenTelemetry (`OTEL_*`) are in [traces and metrics](../telemetry.md).",
    "",
  ].join("\n");
}

function rows(flags: readonly Row[]): string[] {
  return [
    "| option | variable | |",
    "| --- | --- | --- |",
    ...flags.map(({ name, value, variable, about }) => {
      const option = `\`--${name}${value && ` ${value}`}\``;
      return `| ${option} | ${variable ? `\`${variable}\`` : ""} | ${about.replace(/http:\S+/g, "`$&`")} |`;
    }),
  ];
}
