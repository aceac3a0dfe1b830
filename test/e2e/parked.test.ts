/**
 * Runs that are parked, for each reason that there is: they can be shown, terminated and deleted, and whoever waits for
 * them is told, before and after a restart of the coordinators and the server.
 */

import { jetstream } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { type Coordinator, createCoordinator } from "@stepstream/coordinator";
import { connectEventLog } from "@stepstream/event-log/jetstream";
import { connect, workflow } from "@stepstream/sdk";
import { createTelemetry } from "@stepstream/telemetry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { cli } from "../cli/scene.ts";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { ContainmentScene, NORMAL_MS } from "./containment-scene.ts";
import * as programs from "./programs/contained/parked.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.stop());

const soon = () => ({ timeout: NORMAL_MS });

describe("a run that is parked", { timeout: 180_000 }, () => {
  it("for schemas that throw or are async now is terminated and deleted, before and after a restart", async () => {
    const handlers = (worker: any) => worker.handle(programs.sent, async (n: number) => n);
    const scene = new ContainmentScene(server, `schemas-${process.pid}`, ["programs/contained/parked.ts"], handlers);
    try {
      await scene.open();
      const kinds = ["throws", "async"] as const;
      const definitions = { throws: programs.throwing, async: programs.async };
      for (const kind of kinds) {
        for (const half of ["first", "second"]) await scene.start(definitions[kind], 1, `${kind}-${half}`);
        for (const half of ["first", "second"]) {
          const steps = async () => {
            const history = await scene.client.get(`${kind}-${half}`).history();
            return history.filter((entry) => entry.kind === "inbox" && entry.message.type === "StepCompleted").length;
          };
          await expect.poll(steps, { timeout: NORMAL_MS }).toBe(2);
        }
      }
      process.env.STEPSTREAM_TEST_SCHEMA = "faulty";
      await scene.restart();
      for (const half of ["first", "second"]) {
        for (const kind of kinds) {
          // A message makes them be read: what they wait for is ten minutes away.
          const cancelled = scene.client.get(`${kind}-${half}`).cancel(soon());
          await expect(cancelled).rejects.toMatchObject({ code: "RUN_PARKED" });
        }
        if (half === "second") await scene.restart();
        for (const kind of kinds) {
          await scene.isParked(`${kind}-${half}`, /no longer fits the history/);
          await scene.canBeRemoved(`${kind}-${half}`, /parked for/);
        }
        await scene.othersAreWell();
      }
    } finally {
      delete process.env.STEPSTREAM_TEST_SCHEMA;
      await scene.close();
    }
  });

  it("after 20 deliveries is terminated and deleted, before and after a restart", async () => {
    const namespace = `deliveries-${process.pid}`;
    const bus = { nats: server.url, namespace, partitions: 1 };
    const definition = workflow("unlucky", { input: z.any(), output: z.any() }, (_input, w) => w.sleep("10m"));
    // Something of ours that fails whenever one of these runs decides something.
    const telemetry = createTelemetry({ namespace });
    const decisions = (run: string) => {
      return Object.assign(telemetry.decisions(run), {
        decided() {
          throw new TypeError("this is not handled anywhere");
        },
      });
    };
    const open = (): Promise<Coordinator> =>
      createCoordinator({ ...bus, workflows: [definition], telemetry: { ...bound(telemetry), decisions } }).start();
    const env = { NATS_URL: server.url, STEPSTREAM_NAMESPACE: namespace };

    let coordinator = await open();
    const log = await connectEventLog(bus);
    await expect.poll(async () => [...(await log.backlog("EVENTS")).keys()]).toContain("inbox-0");
    await log.close();
    await coordinator.stop();
    let client = await connect(bus);
    const runs = ["first", "second"];
    for (const run of runs) await client.start(definition, 1, { id: run });
    await deliver(`${namespace}_EVENTS`, "inbox-0", runs.length, 21);
    coordinator = await open();
    try {
      const parked = async (run: string) => (await client.get(run).status()).parked?.error.message;
      for (const run of runs)
        await expect
          .poll(() => parked(run), { timeout: NORMAL_MS })
          .toMatch(/its messages cannot be handled: TypeError: this is not handled anywhere/);
      const remove = async (run: string) => {
        const shown = await cli(["show", run], env);
        expect(shown).toMatchObject({ code: 0, err: "" });
        expect(shown.out).toMatch(/parked for .*STALLED.*its messages cannot be handled/s);
        expect(await cli(["terminate", run, "--timeout", "15s"], env)).toMatchObject({ code: 0 });
        expect((await client.get(run).status()).status).toBe("terminated");
        expect(await cli(["delete", run], env)).toMatchObject({ code: 0 });
        await expect(client.get(run).status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
      };
      await remove("first");
      await coordinator.stop();
      await client.close();
      await server.kill();
      await server.restart();
      client = await connect(bus);
      coordinator = await open();
      await expect.poll(() => parked("second"), { timeout: NORMAL_MS }).toMatch(/its messages cannot be handled/);
      await remove("second");
    } finally {
      await coordinator.stop();
      await client.close();
    }
  });
});

/** A telemetry whose methods can be spread. */
function bound(telemetry: ReturnType<typeof createTelemetry>) {
  const { traceOf, parked, runEnded } = telemetry;
  return {
    traceOf: traceOf.bind(telemetry),
    parked: parked.bind(telemetry),
    runEnded: runEnded.bind(telemetry),
  };
}

/** Takes deliveries and hands each back at once, as coordinators do that cannot handle them, until all have had so many. */
async function deliver(stream: string, consumer: string, messages: number, times: number): Promise<void> {
  const nc = await connectNats({ servers: server.url });
  try {
    const durable = await jetstream(nc).consumers.get(stream, consumer);
    for (const done = new Set<number>(); done.size < messages; ) {
      const message = (await durable.next({ expires: 10_000 }))!;
      const { deliveryCount } = message.info;
      if (deliveryCount >= times) done.add(message.seq);
      // Those that have had enough wait until the others have.
      message.nak(deliveryCount >= times ? 1_000 : 0);
      await nc.flush();
    }
  } finally {
    await nc.close();
  }
}

describe("a parent whose child is parked", { timeout: 180_000 }, () => {
  it("is told when the child is terminated or deleted, before and after a restart", async () => {
    const scene = new ContainmentScene(server, `parents-${process.pid}`, ["programs/contained/parked.ts"]);
    try {
      await scene.open();
      const halves = ["first", "second"];
      const kinds = ["terminated", "deleted", "cancelled", "ended"] as const;
      for (const half of halves)
        for (const kind of kinds)
          await scene.start(programs.parent, { policy: kind === "ended" ? "terminate" : "cancel" }, `${kind}-${half}`);
      for (const half of halves) for (const kind of kinds) await scene.isParked(`${kind}-${half}-child`, /is stalled/);

      const told = /^CHILD_FAILED, because WORKFLOW_TERMINATED: .*it is faulty/;
      for (const half of halves) {
        const run = (kind: string) => scene.client.get(`${kind}-${half}`);
        const child = (kind: string) => scene.client.get(`${kind}-${half}-child`);

        await child("terminated").terminate({ reason: "it is faulty", ...soon() });
        expect(await run("terminated").result(soon())).toMatch(told);

        // One that is not over cannot be deleted: its parent would wait for ever.
        expect(await scene.cli(["delete", `deleted-${half}-child`])).toMatchObject({ code: 5 });
        expect((await run("deleted").status()).status).toBe("running");
        await child("deleted").terminate({ reason: "it is faulty", ...soon() });
        expect(await scene.cli(["delete", `deleted-${half}-child`])).toMatchObject({ code: 0 });
        expect(await run("deleted").result(soon())).toMatch(told);
        await expect(child("deleted").status()).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });

        // A cancel waits for the child, however long that takes: the child's termination ends it.
        await run("cancelled").cancel(soon());
        expect((await run("cancelled").status()).status).toBe("running");
        await child("cancelled").terminate({ reason: "it is faulty", ...soon() });
        expect(await run("cancelled").result(soon())).toMatch(/^WORKFLOW_CANCELLED/);

        // Ended with its parent, by its policy.
        await run("ended").terminate(soon());
        await expect(child("ended").result(soon())).rejects.toMatchObject({ code: "WORKFLOW_TERMINATED" });

        for (const kind of kinds) await scene.canBeRemoved(`${kind}-${half}`);
        await scene.othersAreWell();
        if (half === "first") await scene.restart();
      }
    } finally {
      await scene.close();
    }
  });
});
