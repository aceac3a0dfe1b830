import { type AnyWorkflow, step, workflow } from "@stepstream/sdk";
import { z } from "zod";

/** What is measured: three shapes of run, all of one step that does nothing, on a payload of an everyday size. */
export type ShapeName = "one" | "chain" | "fan";

export interface Shape {
  readonly name: ShapeName;
  readonly title: string;
  readonly steps: number;
  readonly workflow: AnyWorkflow;
}

const Order = z.object({
  orderId: z.string(),
  customer: z.string(),
  cents: z.int(),
  currency: z.string(),
  lines: z.array(z.object({ sku: z.string(), quantity: z.int() })),
});
const Receipt = z.object({ receiptId: z.string(), cents: z.int() });

export const ORDER: z.infer<typeof Order> = {
  orderId: "o-20261123-000042",
  customer: "c-9f3b1c7a",
  cents: 12_990,
  currency: "EUR",
  lines: [
    { sku: "sku-1001", quantity: 2 },
    { sku: "sku-2002", quantity: 1 },
    { sku: "sku-3003", quantity: 7 },
  ],
};
export const RECEIPT: z.infer<typeof Receipt> = { receiptId: "rcpt-20261123-000042", cents: 12_990 };

/** Attempts at a time in the worker's process; both sides hold no more commands than that. */
export const WORKER_CONCURRENCY = 200;

/** Inbox messages of a partition in hand at a time, on both sides. */
export const INBOX_IN_FLIGHT = 1_000;

export const charge = step("charge", { input: Order, output: Receipt, concurrency: WORKER_CONCURRENCY });

const one = workflow("one", { input: Order, output: Receipt }, (order, w) => w.run(charge, order));

const chain = workflow("chain", { input: Order, output: Receipt }, async (order, w) => {
  let receipt = await w.run(charge, order);
  for (let n = 2; n <= 5; n++) receipt = await w.run(charge, order);
  return receipt;
});

const fan = workflow("fan", { input: Order, output: z.array(Receipt) }, (order, w) =>
  w.all(Array.from({ length: 10 }, () => w.run(charge, order))),
);

export const SHAPES: readonly Shape[] = [
  { name: "one", title: "one step", steps: 1, workflow: one },
  { name: "chain", title: "chain of 5", steps: 5, workflow: chain },
  { name: "fan", title: "fan-out of 10", steps: 10, workflow: fan },
];

export function shapeOf(name: string): Shape {
  const shape = SHAPES.find((s) => s.name === name);
  if (!shape) throw new RangeError(`There is no shape "${name}"; there are ${SHAPES.map((s) => s.name).join(", ")}.`);
  return shape;
}
