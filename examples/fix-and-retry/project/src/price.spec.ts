import assert from "node:assert/strict";
import { test } from "node:test";
import { show, withTax } from "./price.ts";

test("tax is rounded to the nearest cent", () => {
  assert.equal(withTax(999, 19), 1189);
});

test("a price has two decimals", () => {
  assert.equal(show(1200), "12.00 EUR");
});
