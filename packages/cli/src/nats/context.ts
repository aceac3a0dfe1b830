import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { CliError, EXIT } from "../errors.ts";

/**
 * A context of the `nats` command: where a server is, and who one is there.
 *
 * They are files that `nats context add` writes: `<config>/nats/context/<name>.json`, and the name of the selected one in
 * `<config>/nats/context.txt`, where `<config>` is XDG_CONFIG_HOME or ~/.config.
 * https://github.com/nats-io/jsm.go/tree/main/natscontext
 */
export const NatsContext = z.object({
  url: z.string().default(""),
  token: z.string().default(""),
  user: z.string().default(""),
  password: z.string().default(""),
  creds: z.string().default(""),
  nkey: z.string().default(""),
  user_jwt: z.string().default(""),
  user_seed: z.string().default(""),
  cert: z.string().default(""),
  key: z.string().default(""),
  ca: z.string().default(""),
  tls_first: z.boolean().default(false),
  inbox_prefix: z.string().default(""),
  // Known, and not supported: better to say so than to connect to something else.
  jetstream_domain: z.string().default(""),
  jetstream_api_prefix: z.string().default(""),
  socks_proxy: z.string().default(""),
  nsc: z.string().default(""),
});
export type NatsContext = z.infer<typeof NatsContext>;

type Env = Readonly<Record<string, string | undefined>>;

/** The name of the context that `nats context select` has chosen, if it has. */
export async function selectedContext(env: Env): Promise<string | undefined> {
  const name = await readFile(join(folder(env), "context.txt"), "utf8").catch(() => "");
  return name.trim() || undefined;
}

/** @throws {CliError} It is not there, cannot be read, or asks for what is not supported. */
export async function readContext(env: Env, name: string): Promise<NatsContext> {
  const path = join(folder(env), "context", `${name}.json`);
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new CliError(`There is no NATS context "${name}" (${path}). "nats context ls" lists them.`, EXIT.usage, {
      cause,
    });
  });
  let said: NatsContext;
  try {
    said = NatsContext.parse(JSON.parse(text));
  } catch (cause) {
    throw new CliError(`NATS context "${name}" (${path}) cannot be read.`, EXIT.usage, { cause });
  }
  for (const field of ["jetstream_domain", "jetstream_api_prefix", "socks_proxy", "nsc"] as const)
    if (said[field])
      throw new CliError(`NATS context "${name}" (${path}) sets ${field}, which is not supported.`, EXIT.usage);
  return said;
}

function folder(env: Env): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "nats");
}
