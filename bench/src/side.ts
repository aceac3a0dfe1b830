import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Answer, Load, Order, Sample, Setting } from "./role.ts";

/** "traced" is the engine with telemetry on. */
export const SIDES = ["engine", "bare", "traced"] as const;
export type SideName = (typeof SIDES)[number];
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
  /** Added to the processes' environment. */
  env?: Record<string, string>;
}

export async function startSide(name: SideName, setting: Setting, { profileDir, env }: SideOptions): Promise<Side> {
  const children = {} as Record<Role, ChildProcess>;
  for (const role of ROLES) {
    const folder = name === "bare" ? "bare" : "engine";
    const file = fileURLToPath(new URL(`./${folder}/${role}.ts`, import.meta.url));
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
