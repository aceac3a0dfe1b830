import { simulate } from "@stepstream/testing";
import { expect, it } from "vitest";
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
