/** What the monitoring port of one server says. */
export interface Monitored {
  readonly url: string;
  /** Why it says nothing. */
  readonly silent?: string;
  readonly server?: string;
  /** What `/healthz` complains of; undefined: it is healthy. */
  readonly fault?: string;
  /** `sync_interval`: "always", or such as "120 s". */
  readonly sync?: string;
  /** Bytes that JetStream may store on this server, and has reserved or stored. */
  readonly store?: { readonly max: number; readonly used: number };
}

const ANSWER_MS = 2_000;

interface Jsz {
  storage?: number;
  config?: { sync_interval?: number; sync_always?: boolean; max_storage?: number };
}

export async function readMonitor(url: string): Promise<Monitored> {
  const ask = async <T>(path: string) => {
    const answer = await fetch(new URL(path, url), { signal: AbortSignal.timeout(ANSWER_MS) });
    return (await answer.json()) as T;
  };
  try {
    const [health, jsz, varz] = await Promise.all([
      ask<{ status?: string; error?: string }>("/healthz"),
      ask<Jsz>("/jsz?config=1"),
      ask<{ server_name?: string }>("/varz"),
    ]);
    const { config, storage } = jsz;
    const sync = config?.sync_always ? "always" : config?.sync_interval && `${config.sync_interval / 1e9} s`;
    return {
      url,
      ...(varz.server_name && { server: varz.server_name }),
      ...(health.status !== "ok" && { fault: health.error ?? health.status ?? "it says nothing" }),
      ...(sync && { sync }),
      ...(config?.max_storage && storage !== undefined && { store: { max: config.max_storage, used: storage } }),
    };
  } catch (cause) {
    const { message, cause: deeper } = cause as Error;
    return { url, silent: deeper instanceof Error ? deeper.message : message };
  }
}
