import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What has come by one path, e.g. `/v1/traces`. */
export type Received = Record<string, { requests: number; bytes: number }>;

export interface Sink {
  endpoint: string;
  received: Received;
  close(): void;
}

/** A collector of OTLP over HTTP that counts what it gets, and throws it away. */
export async function startSink(): Promise<Sink> {
  const received: Received = {};
  const server = createServer((request, response) => {
    received[request.url!] ??= { requests: 0, bytes: 0 };
    const of = received[request.url!]!;
    of.requests++;
    request.on("data", (chunk: Buffer) => {
      of.bytes += chunk.length;
    });
    request.on("end", () => response.writeHead(200).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
