/** What people and other programs do to the runs of the model. */
import type { RunHandle } from "@stepstream/sdk";
import { scheduleWorkflow } from "@stepstream/sdk/schedule";
import type { Outside } from "@stepstream/testing";
import { chain, desk, greet, hub, item, kinds, named, relay, timed } from "./model.ts";
import { answer, price, work } from "./steps.ts";
import { carried, spellValue, valuesOf } from "./values.ts";

export async function outside(run: RunHandle, world: Outside): Promise<void> {
  const doings = [stop(run, world)];
  if (world.workflow === desk || world.workflow === relay || world.workflow === named) doings.push(signals(run, world));
  if (world.workflow === desk) doings.push(changes(run, world), queries(run, world));
  if (world.workflow === hub) doings.push(clients(run, world));
  if (world.workflow === timed) doings.push(pings(run, world));
  if (world.workflow === kinds) doings.push(values(run, world));
  if (world.workflow === scheduleWorkflow) doings.push(triggers(run, world));
  const errors = (await Promise.allSettled(doings)).flatMap((done) => (done.status === "rejected" ? done.reason : []));
  // Over already, stopped meanwhile, or parked for want of a coordinator that knows it: what was sent still counts.
  const fine = ["RUN_CLOSED", "WORKFLOW_CANCELLED", "RUN_PARKED", "CALL_TIMEOUT"];
  const real = errors.find(({ code }) => !fine.includes(code));
  if (real) throw real;
}

/** Now and then somebody wants a run to end. */
async function stop(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  if (!chance.is(0.3)) return;
  await sleep(500 + chance.exponential(4_000));
  const kind = chance.int(4);
  await patiently(sleep, (signal) => {
    if (kind === 0) return run.terminate({ reason: "by chance", signal });
    return run.cancel({ reason: "by chance", signal, ...(kind === 1 && { cleanupDeadline: chance.int(4_000) }) });
  });
}

/** As many as are waited for, and one more; some are sent twice. One that was acknowledged has been taken note of, once. */
async function signals(run: RunHandle, { chance, sleep, workflow }: Outside): Promise<void> {
  if (workflow === relay) await untilTold(() => run.signal("note", `to ${run.id}`, { id: `${run.id}-note` }));
  for (let i = 1; i <= 6; i++) {
    await sleep(chance.exponential(3_000));
    const id = `${run.id}-go-${i}`;
    for (let sent = 0; sent === 0 || chance.is(0.2); sent++) await untilTold(() => run.signal("go", i, { id }));
    const accepted = (await untilTold(() => run.history())).flatMap((entry) =>
      entry.kind === "journal" ? entry.message.events.filter((e) => e.type === "SignalAccepted" && e.id === id) : [],
    );
    // A segment that is over has forgotten the ids of its signals; what repeats them is the log's business.
    if (accepted.length !== 1)
      throw new Error(`signal ${id} was acknowledged, and taken note of ${accepted.length} times`);
  }
}

/** Two updates at a time, and one that is refused. Each gets its own answer. */
async function changes(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  await sleep(chance.exponential(5_000));
  const add = async (n: number) => {
    await patiently(sleep, async (signal) => {
      const answered = await run.update("add", n, { signal }).catch((error) => {
        // The run ended first.
        if (error.code !== "UPDATE_REFUSED") throw error;
      });
      if (!answered) return;
      const { n: got, changed } = answered as { n: number; changed: number };
      if (got !== n || changed < n || changed > 30) throw new Error(`update ${n} was answered with ${got}, ${changed}`);
    });
  };
  const refused = patiently(sleep, async (signal) => {
    const answered = await run.update("add", -1, { signal }).then(
      () => "nothing",
      (error) => error,
    );
    const { code, cause } = answered as { code?: string; cause?: Error };
    if (code === "UPDATE_REFUSED" && /^less than nothing$|^The run /.test(cause?.message ?? "")) return;
    if (code === "UPDATE_REFUSED" || answered === "nothing")
      throw new Error(`an update that does not fit was answered with ${cause?.message ?? answered}`);
    throw answered;
  });
  await Promise.all([add(10), sleep(chance.int(2_000)).then(() => add(20)), refused]);
}

/** One signal without a payload: it may come in time for the first wait, for the second, or for none. */
async function pings(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  await sleep(chance.exponential(4_000));
  await untilTold(() => run.signal("ping", undefined, { id: `${run.id}-ping` }));
}

async function values(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  const n = 1 + chance.int(5);
  const told = async () => {
    await sleep(chance.exponential(3_000));
    await untilTold(() => run.signal("stamp", valuesOf(n), { id: `${run.id}-stamp` }));
  };
  const swapped = async () => {
    await sleep(chance.exponential(2_000));
    const map = new Map([["a", new Date(n)]]);
    await patiently(sleep, async (signal) => {
      const answered = await run.update("swap", map, { signal }).catch((error) => {
        if (error.code !== "UPDATE_REFUSED") throw error;
      });
      const spelled = answered && spellValue(answered);
      if (answered && spelled !== spellValue(new Map([[new Date(n), "a"]])))
        throw new Error(`the update with a map was answered with ${spelled}`);
    });
  };
  const held = async () => {
    await sleep(chance.exponential(5_000));
    const got = await run.query("held", undefined, { timeout: "2s" }).catch(() => undefined);
    const all = [1, 2, 3, 4].map((width) => spellValue(carried(valuesOf(width))));
    if (got !== undefined && !all.includes(spellValue(got)))
      throw new Error(`the query for values was answered with ${spellValue(got)}`);
  };
  await Promise.all([told(), swapped(), held()]);
}

/** Now and then a schedule is triggered by hand. */
async function triggers(run: RunHandle, { chance, sleep, client }: Outside): Promise<void> {
  if (!chance.is(0.5)) return;
  await sleep(chance.exponential(8_000));
  await patiently(sleep, async (signal) => {
    const answered = (await run.update("trigger", {}, { signal, id: `${run.id}-trigger` }).catch((error) => {
      if (error.code !== "UPDATE_REFUSED") throw error;
    })) as { run: string; outcome: "started" | "waiting" | "skipped" } | undefined;
    if (answered?.outcome !== "started") return;
    // It is asked for in the same turn as the answer.
    const asked = (await untilTold(() => client.get(run.id).history())).some(
      (entry) =>
        entry.kind === "journal" &&
        entry.message.events.some((event) => event.type === "ChildScheduled" && event.run === answered.run),
    );
    if (!asked)
      throw new Error(`schedule ${run.id} says that it has started ${answered.run}, and has not asked for it`);
  });
}

async function queries(run: RunHandle, { chance, sleep }: Outside): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await sleep(chance.exponential(5_000));
    const seen = (await run.query("seen", undefined, { timeout: "2s" }).catch(() => undefined)) as
      | { got: number[]; changed: number }
      | undefined;
    if (!seen) continue;
    const { got, changed } = seen;
    if (got.some((n, at) => n !== at + 1) || ![0, 10, 20, 30].includes(changed))
      throw new Error(`the query was answered with ${JSON.stringify(seen)}`);
  }
}

/** Everything that starts, replaces and removes runs, each with a run of its own. */
async function clients({ id }: RunHandle, world: Outside): Promise<void> {
  const { client, chance, sleep } = world;
  const input = { width: 1 + chance.int(2), ms: 50, fails: 0.1 };
  const total = (width: number) => (width === 1 ? price(1) : price(1) + price(2));
  const expect = (what: string, got: unknown, expected: unknown) => {
    if (JSON.stringify(got) !== JSON.stringify(expected))
      throw new Error(`${what} of ${id} is ${JSON.stringify(got)}, not ${JSON.stringify(expected)}`);
  };
  const codeOf = (act: () => Promise<unknown>) =>
    untilTold(() =>
      act().then(
        () => "none",
        (error) => (error.code === "LOG_UNAVAILABLE" ? Promise.reject(error) : (error.code as string)),
      ),
    );
  await Promise.all([
    (async () => {
      const start = () => client.runStep(work, item(input, 5), { id: `${id}-step`, onConflict: "attach" });
      const one = await untilTold(start);
      expect("runStep", await untilTold(() => one.result()), (answer("work", { n: 5 }) as { output: unknown }).output);
    })(),
    (async () => {
      const items = [1, 2, 3].map((n) => ({
        id: `${id}-m${n}`,
        input: { ...input, width: n === 3 ? ("bad" as never) : n },
      }));
      const many = await client.startMany(chain, items, { onConflict: "attach", concurrency: 2 });
      const third = many[2]!;
      expect("startMany", third.status === "failed" && (third.error as { code?: string }).code, "INVALID_INPUT");
      for (const [at, one] of many.slice(0, 2).entries())
        if (one.status !== "failed")
          expect("startMany", await untilTold(() => client.get(one.id).result()), total(at + 1));
    })(),
    (async () => {
      const tell = (n: number) =>
        untilTold(() =>
          client.signalWithStart(greet, input, {
            id: `${id}-g`,
            signal: { name: "go", payload: n, id: `${id}-g-${n}` },
          }),
        );
      await tell(1);
      await sleep(chance.int(1_000));
      const run = await tell(2);
      expect("signalWithStart", await untilTold(() => run.result()), [1, 2]);
    })(),
    (async () => {
      const start = (width: number, onConflict: "reject" | "attach") =>
        untilTold(() => client.start(chain, { ...input, width }, { id: `${id}-one`, onConflict }));
      await start(1, "attach");
      expect("a second start", await codeOf(() => start(2, "reject")), "RUN_ALREADY_EXISTS");
      expect("attach", await untilTold(async () => (await start(2, "attach")).result()), total(1));
      expect(
        "another workflow",
        await codeOf(() => client.start(hub, input, { id: `${id}-one`, onConflict: "attach" })),
        "RUN_ALREADY_EXISTS",
      );
    })(),
    (async () => {
      const again = `${id}-again`;
      await untilTold(() => client.start(chain, { ...input, ms: 60_000 }, { id: again, onConflict: "attach" }));
      await sleep(chance.int(3_000));
      world.forget(again);
      const run = await untilTold(() =>
        // Not patient: a start that is given up must not go on beside the next.
        client.start(chain, { ...input, width: 3 }, { id: again, onConflict: "terminate", callTimeout: "2s" }),
      );
      world.forget(again);
      expect("a start in its place", await untilTold(() => run.result()), price(1) + price(2) + price(3));
    })(),
    (async () => {
      const gone = `${id}-gone`;
      const run = await untilTold(() => client.start(chain, input, { id: gone, onConflict: "attach" }));
      expect("its result", await untilTold(() => run.result()), total(input.width));
      world.forget(gone);
      await codeOf(() => run.delete());
      expect("a deleted run", await codeOf(() => client.get(gone).status()), "RUN_NOT_FOUND");
      const next = await untilTold(() =>
        client.start(chain, { ...input, width: 4 }, { id: gone, onConflict: "attach" }),
      );
      world.forget(gone);
      expect("the next of its id", await untilTold(() => next.result()), price(1) + price(2) + price(3) + price(4));
    })(),
  ]);
}

/** Whoever asks after the end is not always told so: they give up waiting after ten seconds. */
async function patiently(sleep: Outside["sleep"], ask: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const patience = new AbortController();
  const answered = ask(patience.signal);
  await Promise.race([answered, sleep(10_000)]);
  answered.catch(() => {});
  patience.abort();
}

/** As a program does that will not be put off: the id makes it one signal. */
async function untilTold<T>(tell: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await tell();
    } catch (error) {
      if (!/^(LOG_UNAVAILABLE|CALL_TIMEOUT|RUN_PARKED)$/.test((error as { code?: string }).code ?? "")) throw error;
    }
  }
}
