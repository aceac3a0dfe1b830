import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { homedir } from "node:os";
import {
  type ConnectionOptions,
  credsAuthenticator,
  jwtAuthenticator,
  nkeyAuthenticator,
} from "@nats-io/transport-node";
import { fromFile, fromUrls } from "@stepstream/event-log/jetstream";
import { CliError, EXIT } from "../errors.ts";
import { NatsContext, readContext, selectedContext } from "./context.ts";
import { devServer } from "./dev-server.ts";

/** What can be said on the command line; each also has a NATS_* variable. */
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
}

type Env = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = "nats://127.0.0.1:4222";

/**
 * Where to connect, and as whom.
 *
 * O1. What a flag says counts before what the URL says (user:password@), that before the NATS_* variable, and that
 *     before the context.
 * O2. Where neither a URL nor a context is asked for, and `stepstream dev` runs in this folder: its server.
 * O3. Else, without a URL: the context that `nats context select` chose.
 * O4. Without any of it: {@link DEFAULT_URL}, as nobody.
 *
 * @throws {CliError} A context or a file that is not there.
 */
export async function natsOptions(flags: NatsFlags, env: Env, cwd: string): Promise<ConnectionOptions> {
  const asked = flags.context || env.NATS_CONTEXT;
  const url = flags.nats || env.NATS_URL || (asked ? undefined : await devServer(cwd));
  const name = asked || (url ? undefined : await selectedContext(env));
  const context = name ? await readContext(env, name) : NatsContext.parse({});
  const say = (flag: string | undefined, variable: string, stored: string) => flag || env[variable] || stored;

  const creds = say(flags.creds, "NATS_CREDS", context.creds);
  const nkey = say(flags.nkey, "NATS_NKEY", context.nkey);
  const { servers, ...inUrl } = fromUrls(url || context.url || DEFAULT_URL);
  const user = say(flags.user || inUrl.user, "NATS_USER", context.user);
  const pass = say(flags.password || inUrl.pass, "NATS_PASSWORD", context.password);
  const token = say(flags.token || inUrl.token, "NATS_TOKEN", context.token);
  const certFile = say(flags.tlsCert, "NATS_CERT", context.cert);
  const keyFile = say(flags.tlsKey, "NATS_KEY", context.key);
  const caFile = say(flags.tlsCa, "NATS_CA", context.ca);
  const tls = {
    ...(certFile && { certFile: await there("client certificate", home(certFile)) }),
    ...(keyFile && { keyFile: await there("private key", home(keyFile)) }),
    ...(caFile && { caFile: await there("certificate authority", home(caFile)) }),
    ...(context.tls_first && { handshakeFirst: true }),
  };
  return {
    servers: servers!,
    ...(user && { user }),
    ...(pass && { pass }),
    ...(token && { token }),
    ...(Object.keys(tls).length > 0 && { tls: { ...tls, ...named([servers!].flat()) } }),
    ...(context.inbox_prefix && { inboxPrefix: context.inbox_prefix }),
    ...(await authenticator(creds, nkey, context)),
  };
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

async function authenticator(creds: string, nkey: string, context: NatsContext): Promise<Partial<ConnectionOptions>> {
  // Read again at each login: what is in the files may be rotated while the command runs.
  if (creds) {
    const path = await there("credentials", home(creds));
    return { authenticator: credsAuthenticator(fromFile(path)) };
  }
  if (nkey) {
    const path = await there("nkey seed", home(nkey));
    seedIn(path, await bytes("nkey seed", path));
    return { authenticator: nkeyAuthenticator(() => seedIn(path, fromFile(path)())) };
  }
  const { user_jwt: jwt, user_seed: secret } = context;
  if (jwt) return { authenticator: jwtAuthenticator(jwt, secret ? new TextEncoder().encode(secret) : undefined) };
  return {};
}

/** A seed stands in a file, alone or among comments. */
function seedIn(path: string, content: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(content);
  const found = /\bS[A-Z]A[A-Z2-7]+\b/.exec(text)?.[0];
  if (!found) throw new CliError(`${path} holds no nkey seed.`, EXIT.usage);
  return new TextEncoder().encode(found);
}

async function bytes(what: string, path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause) => {
    throw new CliError(`The file of the ${what} cannot be read: ${path}`, EXIT.usage, { cause });
  });
}

async function there(what: string, path: string): Promise<string> {
  await bytes(what, path);
  return path;
}

function home(path: string): string {
  return path.startsWith("~/") ? homedir() + path.slice(1) : path;
}
