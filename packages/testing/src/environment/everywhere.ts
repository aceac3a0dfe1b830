import type { Crashes, ProcessName } from "./crashes.ts";
import type { TestEnvironment } from "./environment.ts";
import { type BrokenByCrash, CrashError } from "./errors.ts";

export interface EverywhereOptions {
  /** Who crashes. Default: coordinator and worker. */
  processes?: readonly ProcessName[];
  /** Before every n-th effect only. Default 1. */
  every?: number;
  /** Before this one effect only, as a CrashError has named it. */
  only?: number;
}

/** Plays a scenario again and again, with a crash at another effect each time. See `env.crashEverywhere`. */
export async function everywhere(
  make: () => Promise<{ env: TestEnvironment; crashes: Crashes }>,
  scenario: (env: TestEnvironment) => Promise<unknown>,
  { processes, every = 1, only }: EverywhereOptions,
): Promise<{ crashes: number }> {
  const play = async (nth: number) => {
    const { env, crashes } = await make();
    let error: unknown;
    let broke = false;
    try {
      crashes.countTo(nth, processes);
      await scenario(env);
    } catch (thrown) {
      broke = true;
      error = thrown;
    } finally {
      await env.close();
    }
    return { ...crashes.counted, broke, error };
  };

  const calm = await play(0);
  if (calm.broke) throw calm.error;
  const broken: BrokenByCrash[] = [];
  let tried = 0;
  for (let effect = only ?? 1; effect <= (only ?? calm.count); effect += every) {
    const { hit, broke, error } = await play(effect);
    if (!hit) continue;
    tried++;
    if (broke) broken.push({ effect, process: hit.process, what: hit.what, error });
  }
  if (broken.length > 0) throw new CrashError(tried, broken);
  return { crashes: tried };
}
