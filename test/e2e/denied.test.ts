/** Programs that nats-server does not permit something: two coordinators and a worker, each a process and a user of its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCoordinator } from "@stepstream/coordinator";
import { type Client, connect } from "@stepstream/sdk";
import { createWorker } from "@stepstream/step-worker";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli } from "../cli/scene.ts";
import { type GuardedServer, noGuardedServer, startGuardedServer } from "../support/guarded.ts";
import { nap, stroll } from "./outage/errands.ts";
import { Program } from "./outage/programs.ts";

const NS = "denied";
/** From the moment at which it is permitted again. */
const HEALED_MS = 10_000;

type Role = "coordinator" | "worker";
type Denied = { publish?: string; subscribe?: string };

let server: GuardedServer;
let client: Client;
let coordinators: Program[];
let worker: Program;
let cache: string;

function config(role?: Role, { publish, subscribe }: Denied = {}): string {
  const user = (name: Role) => {
    const deny = (subject: string | undefined) =>
      name === role && subject ? `{ deny: ["${subject}"] }` : '{ allow: ">" }';
    return `{ user: ${name}, password: x, permissions: { publish: ${deny(publish)}, subscribe: ${deny(subscribe)} } }`;
  };
  return `authorization { users: [ { user: boss, password: x }, ${user("coordinator")}, ${user("worker")} ] }`;
}
const url = (user: string) => `nats://${user}:x@${server.address}`;
const env = (user: string) => ({ NATS_URL: url(user), STEPSTREAM_NAMESPACE: NS });

describe.skipIf(noGuardedServer)("programs that are denied", () => {
  beforeAll(async () => {
    server = await startGuardedServer(config());
    cache = await mkdtemp(join(tmpdir(), "stepstream-denied-"));
    coordinators = [new Program("coordinator", env("coordinator")), new Program("coordinator", env("coordinator"))];
    worker = new Program("step-worker", env("worker"));
    await Promise.all([...coordinators, worker].map((program) => program.says(/ runs | is ready/)));
    client = await connect({ nats: url("boss"), namespace: NS });
  });
  afterAll(async () => {
    await client?.close();
    await Promise.all([...(coordinators ?? []), worker].map((program) => program?.end("SIGKILL")));
    await server?.stop();
    await rm(cache, { recursive: true, force: true });
  });

  /** One step, and a timer that is stored and cancelled. */
  async function work(): Promise<void> {
    const napping = await client.start(nap, 1);
    const run = await client.start(stroll, 1);
    await run.result({ timeout: "60s" });
    await napping.cancel({ timeout: "60s" });
    await expect(napping.result({ timeout: "60s" })).rejects.toThrow(/cancelled/);
  }

  it.each<[Role, string, Denied, string]>([
    ["worker", "acknowledge", { publish: "$JS.ACK.>" }, `publish $JS.ACK.${NS}_COMMANDS.step-walk.>`],
    [
      "worker",
      "ask for commands",
      { publish: "$JS.API.CONSUMER.MSG.NEXT.>" },
      `publish $JS.API.CONSUMER.MSG.NEXT.${NS}_COMMANDS.step-walk`,
    ],
    ["worker", "hear of cancellations", { subscribe: `${NS}.cancel.*` }, `subscribe ${NS}.cancel.>`],
    ["worker", "answer a roll call", { publish: `${NS}.workers` }, `publish ${NS}.workers`],
    ["worker", "report results", { publish: `${NS}.inbox.>` }, `publish ${NS}.inbox.*.*.worker`],
    ["worker", "receive replies", { subscribe: "_INBOX.>" }, "subscribe _INBOX.>"],
    ["coordinator", "acknowledge", { publish: "$JS.ACK.>" }, `publish $JS.ACK.${NS}_EVENTS.>`],
    [
      "coordinator",
      "ask for messages",
      { publish: "$JS.API.CONSUMER.MSG.NEXT.>" },
      `publish $JS.API.CONSUMER.MSG.NEXT.${NS}_EVENTS.>`,
    ],
    ["coordinator", "write journals", { publish: `${NS}.journal.>` }, `publish ${NS}.journal.>`],
    ["coordinator", "publish commands", { publish: `${NS}.command.>` }, `publish ${NS}.command.walk.>`],
    ["coordinator", "store timers", { publish: `${NS}.timer.>` }, `publish ${NS}.timer.>`],
    [
      "coordinator",
      "remove timers",
      { publish: "$JS.API.STREAM.PURGE.>" },
      `publish $JS.API.STREAM.PURGE.${NS}_TIMERS`,
    ],
    ["coordinator", "be seen by the other", { publish: `${NS}.presence` }, `publish ${NS}.presence`],
    ["coordinator", "receive replies", { subscribe: "_INBOX.>" }, "subscribe _INBOX.>"],
  ])(
    "a %s without the permission to %s says which permission is needed, and the work is done once it is permitted",
    async (role, _what, denied, needed) => {
      const programs = role === "worker" ? [worker] : coordinators;
      const from = programs.map((program) => program.lines.length);
      await server.reload(config(role, denied));
      const working = work();
      working.catch(() => {});
      // Sent only where another process asks.
      const asked = needed.endsWith(".workers") ? cli("doctor", env("boss")) : undefined;
      const reported = (program: Program, i: number) =>
        program.lines
          .slice(from[i])
          .filter(
            ({ event, operation, needed: permission }) => event === "denied" && `${operation} ${permission}` === needed,
          );
      const all = () => programs.flatMap(reported);
      await expect.poll(() => all().length, { timeout: 15_000 }).toBeGreaterThan(0);
      // Another user sees it, too.
      if (!needed.includes("presence") && !needed.includes("workers")) {
        const { out, code } = await cli("doctor", env("boss"));
        expect(code).toBe(1);
        expect(out).toContain(`${needed.replace(" ", " to ")} was denied to ${role}`);
      }
      const [line] = all();
      expect(line).toMatchObject({ level: 50 });
      expect(line!.msg).toContain(`Allow this user to ${needed.split(" ")[0]} to "${needed.split(" ")[1]}"`);
      await asked;

      await server.reload(config());
      const since = performance.now();
      await working;
      expect(performance.now() - since).toBeLessThan(HEALED_MS + 5_000);
      programs.forEach((program, i) => {
        expect(program.child.exitCode).toBeNull();
        const times = reported(program, i).map(({ time }) => time);
        for (let n = 1; n < times.length; n++) expect(times[n] - times[n - 1]).toBeGreaterThan(9_900);
      });
    },
    60_000,
  );

  it.each([
    ["ls", "$JS.API.DIRECT.GET.>", `$JS.API.DIRECT.GET.${NS}_EVENTS`],
    // The look before has read nothing, and has not forgotten it.
    ["ls", "$JS.API.STREAM.INFO.>", `$JS.API.STREAM.INFO.${NS}_EVENTS`],
    ["queue", "$JS.API.CONSUMER.LIST.>", `$JS.API.CONSUMER.LIST.${NS}_COMMANDS`],
    ["show denied-1", "$JS.API.STREAM.INFO.>", `$JS.API.STREAM.INFO.${NS}_EVENTS`],
    ["watch denied-1", "$JS.API.DIRECT.GET.>", `$JS.API.DIRECT.GET.${NS}_EVENTS`],
    ["result denied-1", "$JS.API.DIRECT.GET.>", `$JS.API.DIRECT.GET.${NS}_EVENTS`],
    ["signal denied-1 go", `${NS}.inbox.>`, `${NS}.inbox.*.*.client`],
    ["query denied-1 total", `${NS}.query.>`, `${NS}.query.>`],
    ["cancel denied-1", `${NS}.inbox.>`, `${NS}.inbox.*.*.client`],
  ])(
    "the command %s that may not publish to %s fails at once, with the permission needed",
    async (args, publish, needed) => {
      await client.start(nap, 1, { id: "denied-1", onConflict: "attach" });
      await server.reload(config("worker", { publish }));
      const since = performance.now();
      const { code, err } = await cli(args, { ...env("worker"), XDG_CACHE_HOME: cache });
      expect(performance.now() - since).toBeLessThan(3_000);
      expect(code).toBe(4);
      expect(err).toContain(`Allow this user to publish to "${needed}`);
      await server.reload(config());
    },
  );

  it("a coordinator and a worker that log nothing say it all the same", async () => {
    await server.reload(config("worker", { publish: `${NS}.presence`, subscribe: `${NS}.cancel.*` }));
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => void warnings.push(message);
    process.on("warning", onWarning);
    const errors: string[] = [];
    const logger = { ...console, error: (message: string) => void errors.push(message) };
    const coordinator = await createCoordinator({ nats: url("worker"), namespace: NS, workflows: [nap] }).start();
    const quiet = await createWorker({ nats: url("worker"), namespace: NS, logger })
      .gates()
      .start();
    await expect.poll(() => warnings.join()).toContain(`Allow this user to publish to "${NS}.presence"`);
    await expect.poll(() => errors.join()).toContain(`Allow this user to subscribe to "${NS}.cancel.>"`);
    process.off("warning", onWarning);
    await Promise.all([coordinator.stop(), quiet.stop()]);
    await server.reload(config());
  });

  it("what is denied again and again is one line in ten seconds", async () => {
    const from = coordinators.map((program) => ({ lines: program.lines.length, bytes: program.bytes }));
    await server.reload(config("coordinator", { publish: "$JS.ACK.>" }));
    // Each message of the runs is redelivered every 5 s, and acknowledged in vain.
    const runs = await Promise.all(Array.from({ length: 50 }, (_, n) => client.start(stroll, n)));
    await Promise.all(runs.map((run) => run.result({ timeout: "60s" })));
    const counted = async () => {
      const told = coordinators.flatMap((program, i) => program.lines.slice(from[i]!.lines));
      return told.filter(({ event, more }) => event === "denied" && more > 0).length;
    };
    await expect.poll(counted, { timeout: 25_000 }).toBeGreaterThan(0);
    coordinators.forEach((program, i) => {
      expect(program.lines.length - from[i]!.lines).toBeLessThan(10);
      expect(program.bytes - from[i]!.bytes).toBeLessThan(15_000);
    });
    await server.reload(config());
  }, 90_000);
});
