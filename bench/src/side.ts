import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, Load, Order, Sample, Setting } from "./role.ts";

const METERED = { OTEL_METRIC_EXPORT_INTERVAL: "1000", OTEL_METRIC_EXPORT_TIMEOUT: "1000" };
const SAMPLED = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.01" };

/**
 * What can be measured: the bare bus, and the engine with more and more telemetry. Those that have an environment send it
 * to a sink; metrics every second, sixty times as often as by default, so that samples of seconds have their share of it.
 */
export const SIDES = {
  engine: { title: "engine", folder: "engine" },
  bare: { title: "bare bus", folder: "bare" },
  metered: { title: "metrics", folder: "engine", env: { ...METERED, OTEL_TRACES_EXPORTER: "none" } },
  sampled: { title: "metrics, 1 % of traces", folder: "engine", env: { ...METERED, ...SAMPLED } },
  traced: { title: "metrics, all traces", folder: "engine", env: METERED },
} as const satisfies Record<string, { title: string; folder: "engine" | "bare"; env?: Record<string, string> }>;
export type SideName = keyof typeof SIDES;
export const SIDE_NAMES = Object.keys(SIDES) as SideName[];
export const ROLES = ["coordinator", "worker", "client"] as const;
export type Role = (typeof ROLES)[number];

/** Longest a sample may take beyond its duration before it is given up. */
const PATIENCE_MS = 60_000;

/** One side of the comparison: a process for each role, on a namespace of their own. */
export interface Side {
  readonly name: SideName;
  measure(load: Load): Promise<Sample & { cpuMicros: Record<Role, number> }>;
  stop(): Promise<void>;
}

export interface SideOptions {
  /** Every process writes a CPU profile there when it ends. */
  profileDir?: string | undefined;
  /** Takes the telemetry of a side that has some. */
  endpoint: string;
}

export async function startSide(
  name: SideName,
  setting: Setting,
  { profileDir, endpoint }: SideOptions,
): Promise<Side> {
  const side: { folder: string; env?: Record<string, string> } = SIDES[name];
  const env = side.env && { ...side.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  const children = {} as Record<Role, ChildProcess>;
  for (const role of ROLES) {
    const file = fileURLToPath(new URL(`./${side.folder}/${role}.ts`, import.meta.url));
    const child = fork(file, [JSON.stringify(setting)], {
      env: { ...process.env, ...env },
      execArgv: profileDir
        ? ["--cpu-prof", `--cpu-prof-dir=${profileDir}`, `--cpu-prof-name=${name}-${setting.shape}-${role}.cpuprofile`]
        : [],
    });
    children[role] = child;
    await answerOf(child, `${name} ${role}`, "ready", PATIENCE_MS);
  }

  async function ask<T extends Answer["type"]>(role: Role, order: Order, type: T, patienceMs = PATIENCE_MS) {
    const answer = answerOf(children[role], `${name} ${role}`, type, patienceMs);
    children[role].send(order);
    return answer;
  }

  async function cpuMicros(): Promise<Record<Role, number>> {
    const used = {} as Record<Role, number>;
    for (const role of ROLES) used[role] = (await ask(role, { type: "cpu" }, "cpu")).micros;
    return used;
  }

  return {
    name,
    async measure(load) {
      const before = await cpuMicros();
      const patienceMs = load.durationMs + PATIENCE_MS;
      const { sample } = await ask("client", { type: "measure", load }, "sample", patienceMs);
      const after = await cpuMicros();
      for (const role of ROLES) after[role] -= before[role];
      return { ...sample, cpuMicros: after };
    },
    async stop() {
      for (const child of Object.values(children)) {
        if (child.exitCode !== null) continue;
        const gone = once(child, "exit");
        // A profile is written on a clean exit, which is what happens when the channel closes.
        child.disconnect();
        const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await gone;
        clearTimeout(late);
      }
    },
  };
}

function answerOf<T extends Answer["type"]>(child: ChildProcess, who: string, type: T, patienceMs: number) {
  return new Promise<Extract<Answer, { type: T }>>((resolve, reject) => {
    const onMessage = (answer: Answer) => {
      if (answer.type !== type) return;
      done();
      resolve(answer as Extract<Answer, { type: T }>);
    };
    const onExit = (code: number | null) => {
      done();
      reject(new Error(`The ${who} ended with ${code}.`));
    };
    const late = setTimeout(() => {
      done();
      reject(new Error(`The ${who} has not answered for ${patienceMs / 1_000} s: some run has not ended.`));
    }, patienceMs);
    const done = () => {
      clearTimeout(late);
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
