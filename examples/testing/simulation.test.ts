import { step, workflow } from "@stepstream/sdk";
import { handle, simulate } from "@stepstream/testing";
import { expect, it } from "vitest";
import { z } from "zod";
import { accounts, handlers, payments } from "./handlers.ts";
import { subscription } from "./subscription.ts";

it("is paid or closed, whatever the weather", async () => {
  const { faults, story } = await simulate(() => {
    accounts.clear();
    payments.clear();
    return {
      workflows: [subscription],
      steps: handlers,
      start: (chance, i) => ({ workflow: subscription, input: { customer: `c${i}`, cents: chance.int(200_000) } }),
      check: ({ id }) => expect(accounts.get(`${id}/1`)!.open).toBe(payments.has(`${id}/5`)),
    };
  });
  expect(faults, story).toEqual([]);
});

it("is cancelled by impatient customers without losing track of their accounts", async () => {
  const { faults, story } = await simulate(() => {
    accounts.clear();
    payments.clear();
    return {
      workflows: [subscription],
      steps: handlers,
      start: (_chance, i) => ({ workflow: subscription, input: { customer: `c${i}`, cents: 995 } }),
      outside: async (run, { chance, sleep }) => {
        await sleep(chance.int(28 * 86_400_000));
        await run.cancel({ reason: "not for me" });
      },
      check: ({ id, end }) => {
        const { open } = accounts.get(`${id}/1`)!;
        if (end?.type === "RunCancelled" && open) return "its account is still open";
        if (end?.type === "RunCompleted" && !payments.has(`${id}/5`)) return "nobody has paid";
        return undefined;
      },
      seeds: 10,
      runs: 5,
    };
  });
  expect(faults, story).toEqual([]);
});

const hello = step("hello", { input: z.string(), output: z.string() });
const greeting = workflow("greeting", { input: z.string(), output: z.string() }, (name, w) => w.run(hello, name));

it("is deleted, and its id is used again", async () => {
  const { faults, story } = await simulate({
    workflows: [greeting],
    steps: [handle(hello, (name) => `hello ${name}`)],
    start: (_chance, i) => ({ workflow: greeting, input: `c${i}` }),
    outside: async (run, { client, calm, forget }) => {
      await run.result();
      await calm(); // from here on every call is answered
      forget(run.id);
      await run.delete();
      const again = await client.start(greeting, "again", { id: run.id });
      forget(run.id);
      await again.result();
    },
    check: ({ input, end }, world) => {
      expect(input).toBe("again");
      expect(end).toMatchObject({ type: "RunCompleted", output: "hello again" });
      expect(world.end("r1")).toEqual(end); // runs are named r1, r2, …
    },
    seeds: 5,
  });
  expect(faults, story).toEqual([]);
});
