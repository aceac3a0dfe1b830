import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { homedir } from "node:os";
import { relative } from "node:path";
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  jwtAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { fromFile, fromUrls } from "@stepstream/event-log/jetstream";
import type { NatsContext } from "./context.ts";
import { contextOf, readContext, selectedContext } from "./context.ts";
import { devServer } from "./dev-server.ts";
import type { NatsFlags } from "./flags.ts";
import { UsageError } from "./usage-error.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The server of those who say nothing. */
export const DEFAULT_URL = "nats://127.0.0.1:4222";

/** Where to connect, as whom, and who says so. */
export interface Connection {
  readonly options: ConnectionOptions;
  /** The servers, without what is secret. */
  readonly where: string;
  /** What has named the servers: `--nats`, `NATS_URL`, a context, a stepstream dev; undefined: nothing, it is the default. */
  readonly from: string | undefined;
  /** It is the server of a `stepstream dev`. */
  readonly dev: boolean;
}

/**
 * Where to connect, and as whom.
 *
 * O1. What a flag says counts before what the URL says (user:password@), that before the NATS_* variable, and that
 *     before the context.
 * O2. Where neither a URL nor a context is asked for, and `stepstream dev` runs in this folder or one above: its server.
 * O3. Else, without a URL: the context that `nats context select` chose.
 * O4. Without any of it: {@link DEFAULT_URL}, as nobody.
 * O5. Credentials, the seed of an nkey and what a context says are read again at each login: they may have been replaced.
 *
 * Checked elsewhere:
 *   O1, O3, O4  test/cli/connect.test.ts
 *   O2          test/cli/folders.test.ts › "from a folder below, as from the project's own"
 *   O5          test/e2e/login.test.ts
 *
 * @throws {UsageError} A context or a file that is not there.
 */
export async function connectionOf(flags: NatsFlags, env: Env, cwd: string): Promise<Connection> {
  const asked = flags.context || env.NATS_CONTEXT;
  const said = flags.nats || env.NATS_URL;
  const dev = said || asked ? undefined : await devServer(cwd);
  const name = asked || (said || dev ? undefined : await selectedContext(env));
  const context = name ? readContext(env, name) : contextOf({});
  const say = (flag: string | undefined, variable: string, stored: string) => flag || env[variable] || stored;

  const creds = say(flags.creds, "NATS_CREDS", context.creds);
  const nkey = say(flags.nkey, "NATS_NKEY", context.nkey);
  const { servers, ...inUrl } = fromUrls(said || dev?.url || context.url || DEFAULT_URL);
  const loginBy = ({ user, password, token }: NatsContext) => ({
    user: say(flags.user || inUrl.user, "NATS_USER", user),
    pass: say(flags.password || inUrl.pass, "NATS_PASSWORD", password),
    token: say(flags.token || inUrl.token, "NATS_TOKEN", token),
  });
  const { user, pass, token } = loginBy(context);
  const current = name ? () => readContext(env, name) : () => context;
  const certFile = say(flags.tlsCert, "NATS_CERT", context.cert);
  const keyFile = say(flags.tlsKey, "NATS_KEY", context.key);
  const caFile = say(flags.tlsCa, "NATS_CA", context.ca);
  const inboxPrefix = say(flags.inboxPrefix, "NATS_INBOX_PREFIX", context.inbox_prefix);
  const tls = {
    ...(certFile && { certFile: there("client certificate", home(certFile)) }),
    ...(keyFile && { keyFile: there("private key", home(keyFile)) }),
    ...(caFile && { caFile: there("certificate authority", home(caFile)) }),
    ...(context.tls_first && { handshakeFirst: true }),
  };
  const options = {
    servers: servers!,
    ...(Object.keys(tls).length > 0 && { tls: { ...tls, ...named([servers!].flat()) } }),
    ...(inboxPrefix && { inboxPrefix }),
    ...(creds || nkey || context.user_jwt || name
      ? { authenticator: authenticators(creds, nkey, current, () => loginBy(current())) }
      : { ...(user && { user }), ...(pass && { pass }), ...(token && { token }) }),
  };
  const from = said
    ? flags.nats
      ? "--nats"
      : "NATS_URL"
    : dev
      ? `stepstream dev in ${relative(cwd, dev.folder) || "this folder"}`
      : name && `NATS context "${name}"`;
  return { options, where: [servers!].flat().join(", "), from: from || undefined, dev: dev !== undefined };
}

/**
 * The name that the certificate of the server must have. nats.js says it only where it is no IP address, and Node.js then
 * takes "localhost": https://github.com/nats-io/nats.js/issues/303
 */
function named(servers: readonly string[]): { host?: string } {
  const [only = "", ...more] = servers.map((one) => new URL(one.includes("://") ? one : `nats://${one}`).hostname);
  const host = only.replace(/^\[(.*)\]$/, "$1");
  return more.length === 0 && isIP(host) ? { host } : {};
}

function authenticators(
  creds: string,
  nkey: string,
  context: () => NatsContext,
  login: () => { user: string; pass: string; token: string },
): Authenticator[] {
  const found: Authenticator[] = [];
  // Read now, so that a mistake is told at once, and again at each login (O5).
  if (creds) found.push(credsAuthenticator(fromFile(there("credentials", home(creds)))));
  else if (nkey) {
    const path = home(nkey);
    seedIn(path, bytes("nkey seed", path));
    found.push(nkeyAuthenticator(() => seedIn(path, fromFile(path)())));
  } else if (context().user_jwt) {
    const secret = () => new TextEncoder().encode(context().user_seed);
    found.push(jwtAuthenticator(() => context().user_jwt, context().user_seed ? secret : undefined));
  }
  const { user, token } = login();
  if (token) found.push(tokenAuthenticator(() => login().token));
  if (user)
    found.push(
      usernamePasswordAuthenticator(
        () => login().user,
        () => login().pass,
      ),
    );
  return found;
}

/** A seed stands in a file, alone or among comments. */
function seedIn(path: string, content: Uint8Array): Uint8Array {
  const found = /\bS[A-Z]A[A-Z2-7]+\b/.exec(new TextDecoder().decode(content))?.[0];
  if (!found) throw new UsageError(`${path} holds no nkey seed.`);
  return new TextEncoder().encode(found);
}

function bytes(what: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new UsageError(`The file of the ${what} cannot be read: ${path}`, { cause });
  }
}

function there(what: string, path: string): string {
  bytes(what, path);
  return path;
}

function home(path: string): string {
  return path.startsWith("~/") ? homedir() + path.slice(1) : path;
}
