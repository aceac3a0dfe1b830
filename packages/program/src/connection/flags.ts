/** What can be said about a connection on the command line: one list, for the command line and the programs alike. */
export interface Flag {
  /** Without the dashes; what it is called in {@link NatsFlags} is the same in camel case. */
  readonly name: string;
  readonly value: string;
  /** The variable of the environment that says the same. */
  readonly variable: string;
  readonly about: string;
}

export const CONNECTION_FLAGS = [
  {
    name: "nats",
    value: "<url>",
    variable: "NATS_URL",
    about:
      "servers, by commas (default: a stepstream dev of this project, the selected NATS context, or 127.0.0.1:4222)",
  },
  { name: "context", value: "<name>", variable: "NATS_CONTEXT", about: "a context of the nats command" },
  { name: "creds", value: "<file>", variable: "NATS_CREDS", about: "credentials: a JWT and its seed" },
  { name: "user", value: "<name>", variable: "NATS_USER", about: "user name" },
  {
    name: "password",
    value: "<password>",
    variable: "NATS_PASSWORD",
    about: "its password; others on this machine can see options, but not variables",
  },
  { name: "token", value: "<token>", variable: "NATS_TOKEN", about: "token" },
  { name: "nkey", value: "<file>", variable: "NATS_NKEY", about: "the seed of an nkey" },
  { name: "tls-cert", value: "<file>", variable: "NATS_CERT", about: "client certificate" },
  { name: "tls-key", value: "<file>", variable: "NATS_KEY", about: "its private key" },
  { name: "tls-ca", value: "<file>", variable: "NATS_CA", about: "certificate authority" },
  {
    name: "inbox-prefix",
    value: "<subject>",
    variable: "NATS_INBOX_PREFIX",
    about: "where replies go, if permissions ask for it (default: _INBOX)",
  },
] as const satisfies readonly Flag[];

/** How long to wait for a server that does not answer yet. */
export const WAIT_FLAG = {
  name: "connect-timeout",
  value: "<duration>",
  variable: "STEPSTREAM_CONNECT_TIMEOUT",
  about: "how long to wait at the start for a server that does not answer yet, such as 30s or 5m",
} as const satisfies Flag;

/** What the programs take beside the connection. */
export const PROGRAM_FLAGS = [
  {
    name: "metrics-port",
    value: "<n>",
    variable: "STEPSTREAM_METRICS_PORT",
    about: "metrics for Prometheus at http://…:<n>/metrics, and what --health-port serves (default: none)",
  },
  {
    name: "health-port",
    value: "<n>",
    variable: "STEPSTREAM_HEALTH_PORT",
    about: "health for probes at http://…:<n>/healthz and /readyz, without metrics (default: none)",
  },
  {
    name: "shutdown-timeout",
    value: "<duration>",
    variable: "STEPSTREAM_SHUTDOWN_TIMEOUT",
    about: "how long the platform waits between SIGTERM and SIGKILL; the program ends before that (default: 30s)",
  },
  {
    name: "log-level",
    value: "<level>",
    variable: "STEPSTREAM_LOG_LEVEL",
    about: "debug, info, warn, error or silent (default: info)",
  },
  {
    name: "log-format",
    value: "<name>",
    variable: "STEPSTREAM_LOG_FORMAT",
    about: "json or pretty (default: pretty in a terminal, else json)",
  },
] as const satisfies readonly Flag[];

/** Of a coordinator alone. */
export const COORDINATOR_FLAGS = [
  {
    name: "archive",
    value: "<folder>",
    variable: "STEPSTREAM_ARCHIVE",
    about: "where ended runs are written before they are removed, if the namespace's retention says so",
  },
] as const satisfies readonly Flag[];

/** Of a worker alone. */
export const WORKER_FLAGS = [
  { name: "name", value: "<name>", about: "for people (default: a random one)" },
  { name: "gates", value: "", about: "run the commands of gates, in the working directory" },
  {
    name: "drain",
    value: "<seconds>",
    about: "how long running attempts may finish on shutdown (default: 20, of 30 s)",
  },
] as const satisfies readonly Omit<Flag, "variable">[];

/** Variables that no option stands for. Those of OpenTelemetry (OTEL_*) are in docs/telemetry.md. */
export const OTHER_VARIABLES = {
  STEPSTREAM_CACHE: "where a nats-server that was fetched is kept (default: your system's folder for caches)",
  XDG_CACHE_HOME: "where the list of runs is kept, in `stepstream/runs` (default: `~/.cache`)",
  XDG_CONFIG_HOME: "where the contexts of the nats command are, in `nats/context` (default: `~/.config`)",
  HOME: "what `~` means",
  LOCALAPPDATA: "the folder for caches on Windows",
  NO_COLOR: "no colours, as `--no-color`",
  FORCE_COLOR: "colours also in a pipe",
  TERM: "`dumb`: no colours",
  NODE_COMPILE_CACHE: "where Node.js keeps what it has compiled, so that commands start sooner",
  NODE_OPTIONS: "options of Node.js: passed on to the processes of `stepstream dev`",
} as const;

/** The values of {@link CONNECTION_FLAGS}, in camel case as commander has them. */
export interface NatsFlags {
  nats?: string | undefined;
  context?: string | undefined;
  creds?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
  nkey?: string | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  tlsCa?: string | undefined;
  inboxPrefix?: string | undefined;
}

/** The namespace: not of the connection, but said beside it, by everyone. */
export const NAMESPACE_FLAG = {
  name: "namespace",
  value: "<name>",
  variable: "STEPSTREAM_NAMESPACE",
  about: 'which namespace (default: "default")',
} as const satisfies Flag;
