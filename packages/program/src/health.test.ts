import { type IncomingMessage, request } from "node:http";
import { describe, expect, it } from "vitest";
import { type Served, serveHealth } from "./health.ts";

async function ask(url: string, method = "GET"): Promise<{ status: number | undefined; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) =>
    request(url, { method, agent: false }, resolve).on("error", reject).end(),
  );
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  return { status: response.statusCode, body };
}

describe("the health of a program", () => {
  it("is alive always, and ready when nothing is missing; else it says what", async () => {
    let why: string | undefined = "no connection to nats-server";
    const at = await serveHealth(0, "127.0.0.1", { notReady: () => why });
    expect(await ask(`${at}/healthz`)).toEqual({ status: 200, body: '{"alive":true}\n' });
    expect(await ask(`${at}/readyz?verbose`)).toEqual({ status: 503, body: `{"ready":false,"why":"${why}"}\n` });
    why = undefined;
    expect(await ask(`${at}/readyz`)).toEqual({ status: 200, body: '{"ready":true}\n' });
    expect(await ask(`${at}/readyz`, "HEAD")).toEqual({ status: 200, body: "" });
  });

  it("has metrics beside it only where they are on", async () => {
    const served: Served = {
      notReady: () => undefined,
      serveMetrics: (_request, response) => void response.end("up 1"),
    };
    const on = await serveHealth(0, "127.0.0.1", served);
    const off = await serveHealth(0, "127.0.0.1", { notReady: served.notReady });
    expect(await ask(`${on}/metrics`)).toEqual({ status: 200, body: "up 1" });
    expect((await ask(`${off}/metrics`)).status).toBe(404);
  });

  it("answers nothing else, and no other method", async () => {
    const at = await serveHealth(0, "127.0.0.1", { notReady: () => undefined });
    expect((await ask(`${at}/`)).status).toBe(404);
    expect((await ask(`${at}//`)).status).toBe(404);
    expect((await ask(`${at}/healthz`, "POST")).status).toBe(405);
  });

  it("listens on all addresses by default, and fails where it cannot", async () => {
    const at = new URL(await serveHealth(0, undefined, { notReady: () => undefined }));
    expect((await ask(`http://127.0.0.1:${at.port}/healthz`)).status).toBe(200);
    await expect(serveHealth(Number(at.port), undefined, { notReady: () => undefined })).rejects.toThrow("EADDRINUSE");
  });
});
