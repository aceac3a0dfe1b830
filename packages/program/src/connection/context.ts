import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "./usage-error.ts";

/**
 * A context of the `nats` command: where a server is, and who one is there.
 *
 * They are files that `nats context add` writes: `<config>/nats/context/<name>.json`, and the name of the selected one in
 * `<config>/nats/context.txt`, where `<config>` is XDG_CONFIG_HOME or ~/.config.
 * https://github.com/nats-io/jsm.go/tree/main/natscontext
 */
export type NatsContext = { [Field in (typeof TEXTS)[number]]: string } & { tls_first: boolean };

/** Known, and not supported: better to say so than to connect to something else. */
const UNSUPPORTED = ["jetstream_domain", "jetstream_api_prefix", "socks_proxy", "nsc"] as const;
const TEXTS = [
  ...["url", "token", "user", "password", "creds", "nkey", "user_jwt", "user_seed"],
  ...["cert", "key", "ca", "inbox_prefix"],
  ...UNSUPPORTED,
] as (
  | ("url" | "token" | "user" | "password" | "creds" | "nkey" | "user_jwt" | "user_seed")
  | ("cert" | "key" | "ca" | "inbox_prefix")
  | (typeof UNSUPPORTED)[number]
)[];

type Env = Readonly<Record<string, string | undefined>>;

/** What a context says of itself; what it does not say is empty. @throws {TypeError} A field is of another type. */
export function contextOf(said: unknown): NatsContext {
  if (typeof said !== "object" || said === null || Array.isArray(said)) throw new TypeError("it is not an object");
  const fields = said as Record<string, unknown>;
  const { tls_first = false } = fields;
  if (typeof tls_first !== "boolean") throw new TypeError("tls_first is not true or false");
  const texts = TEXTS.map((field) => {
    const text = fields[field] ?? "";
    if (typeof text !== "string") throw new TypeError(`${field} is not a text`);
    return [field, text];
  });
  return { ...Object.fromEntries(texts), tls_first } as NatsContext;
}

/** The name of the context that `nats context select` has chosen, if it has. */
export async function selectedContext(env: Env): Promise<string | undefined> {
  const name = await readFile(join(folder(env), "context.txt"), "utf8").catch(() => "");
  return name.trim() || undefined;
}

/** @throws {UsageError} It is not there, cannot be read, or asks for what is not supported. */
export function readContext(env: Env, name: string): NatsContext {
  const path = join(folder(env), "context", `${name}.json`);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`There is no NATS context "${name}" (${path}). "nats context ls" lists them.`, { cause });
  }
  let context: NatsContext;
  try {
    context = contextOf(JSON.parse(text));
  } catch (cause) {
    throw new UsageError(`NATS context "${name}" (${path}) cannot be read.`, { cause });
  }
  for (const field of UNSUPPORTED)
    if (context[field]) throw new UsageError(`NATS context "${name}" (${path}) sets ${field}, which is not supported.`);
  return context;
}

function folder(env: Env): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "nats");
}
