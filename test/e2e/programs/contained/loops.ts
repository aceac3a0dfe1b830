/** Workflows that never give the event loop back, one for each way. For loops.test.ts. */
import { step, workflow } from "@stepstream/sdk";
import { z } from "zod";

export const one = step("one", { input: z.number(), output: z.number() });

const evil = `${"a".repeat(50)}b`;
const endless = (): never => {
  for (;;);
};
/** Where the coordinator checks, not where a client or a worker does. */
const endlessHere = () => (/coordinator(.src.main)?\.ts$/.test(process.argv[1]!) ? endless() : true);
const Kind = z.object({ kind: z.string() });
const Slow = z.string().refine(() => endlessHere());

const kinds: Record<string, () => unknown> = {
  while: endless,
  await: async () => {
    for (;;) await null;
  },
  chain: () => {
    const again = (): Promise<void> => Promise.resolve().then(again);
    return again();
  },
  nextTick: () => {
    const again = () => process.nextTick(again);
    again();
    return new Promise(() => {});
  },
  regex: () => /^(a+)+$/.test(evil),
  sort: () => [2, 1].sort(endless),
  getter: () => ({
    ...{
      get x() {
        return endless();
      },
    },
  }),
  toJSON: () => JSON.stringify({ toJSON: endless }),
  overflow: () => {
    const again = (): never => {
      try {
        return again();
      } catch {
        return again();
      }
    };
    return again();
  },
};

export const loops = workflow("loops", { input: Kind, output: z.unknown() }, async ({ kind }, w) => {
  await w.run(one, 1);
  if (kind === "sideEffect") w.sideEffect(() => endless());
  if (kind === "until") await w.until(() => endless());
  if (kind === "output")
    return {
      get x() {
        return endless();
      },
    };
  return kinds[kind]?.();
});

/** The loop is in what is called by a message. */
export const handlers = workflow(
  "handlers",
  {
    input: z.object({}),
    output: z.unknown(),
    signals: { slow: Slow, go: z.string() },
    queries: { stuck: z.number(), well: z.number() },
    updates: {
      validated: { input: z.number(), output: z.number() },
      handled: { input: z.number(), output: z.number() },
    },
  },
  async (_input, w) => {
    w.onQuery("stuck", () => endless());
    w.onQuery("well", () => 42);
    w.onUpdate("validated", async (n) => n, { validate: () => endless() });
    w.onUpdate("handled", () => endless());
    return w.waitFor("go");
  },
);

/** The result of its step cannot be read. */
export const unreadable = step("unreadable", { input: z.number(), output: z.number().refine(() => endlessHere()) });
export const outputs = workflow("outputs", { input: z.object({}), output: z.number() }, (_input, w) =>
  w.run(unreadable, 1),
);
