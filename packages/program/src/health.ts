import { createServer, type RequestListener } from "node:http";
import { isIPv6 } from "node:net";

/** What a program serves over HTTP. */
export interface Served {
  /** Why it cannot take work now; undefined: it can. */
  readonly notReady: () => string | undefined;
  /** Answers `/metrics`. Absent where metrics are off. */
  readonly serveMetrics?: RequestListener | undefined;
}

/**
 * Serves the health of a program to probes, and its metrics to Prometheus.
 *
 *   GET /healthz   200 as long as the event loop answers
 *   GET /readyz    200 if the program can take work; else 503, with the reason
 *   GET /metrics   metrics, if there are any
 *
 * @param host - Default: all addresses of the machine.
 * @returns Where it listens, once it does.
 * @throws {Error} It cannot listen there.
 */
export async function serveHealth(port: number, host: string | undefined, served: Served): Promise<string> {
  const server = createServer((request, response) => {
    const [pathname] = (request.url ?? "/").split("?");
    const answer = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405, { error: "only GET and HEAD" });
    if (pathname === "/metrics" && served.serveMetrics) return served.serveMetrics(request, response);
    if (pathname === "/healthz") return answer(200, { alive: true });
    if (pathname !== "/readyz") return answer(404, { error: "only /healthz, /readyz and, where it is on, /metrics" });
    const why = served.notReady();
    if (why === undefined) answer(200, { ready: true });
    else answer(503, { ready: false, why });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host && { host }) }, resolve);
  });
  // It does not keep the process alive.
  server.unref();
  const { address, port: actual } = server.address() as { address: string; port: number };
  return `http://${isIPv6(address) ? `[${address}]` : address}:${actual}`;
}
