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
