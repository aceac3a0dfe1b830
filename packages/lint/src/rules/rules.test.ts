/** Each rule on pieces of code, with ESLint's own tester: sources in TypeScript, and in plain JavaScript. */

import tsParser from "@typescript-eslint/parser";
import { type Linter, RuleTester } from "eslint";
import { afterAll, describe, it } from "vitest";
import plugin from "../index.ts";

RuleTester.describe = describe;
RuleTester.it = it;
(RuleTester as any).itOnly = it.only;
(RuleTester as any).afterAll = afterAll;

const typescript = new RuleTester({ languageOptions: { parser: tsParser as unknown as Linter.Parser } });
const javascript = new RuleTester({ languageOptions: { ecmaVersion: 2024, sourceType: "module" } });

/** In the function of a workflow. */
const inside = (body: string, top = "") =>
  `import { workflow } from "@stepstream/sdk";\n${top}\nworkflow("x", {}, async (input, w) => {\n${body}\n});`;
/** In a function that is none. */
const outside = (body: string, top = "") => `import "@stepstream/sdk";\n${top}\nasync function go(input) {\n${body}\n}`;

const refused = (what: string, instead: string) => ({
  message: `${what} is not deterministic and cannot be used in a workflow. Use ${instead} instead.`,
});

typescript.run("no-nondeterminism", plugin.rules["no-nondeterminism"], {
  valid: [
    // What a run answers itself.
    inside("const at = Date.now(); new Date(); Math.random(); crypto.randomUUID(); performance.now(); return at;"),
    inside("await w.sleep('1h'); w.now(); w.random(); w.uuid();"),
    // Outside of workflow code.
    outside("setTimeout(() => {}, 1); await fetch('x'); process.env.HOME;"),
    outside("readFileSync('x');", 'import { readFileSync } from "node:fs";'),
    'import { workflow } from "elsewhere"; workflow("x", {}, async (input, w) => { setTimeout(input, 1); });',
    // Handlers are beside workflow code, and no part of it.
    `${inside("await w.run(input);")}\nworker.handle(s, async () => { await fetch("x"); });`,
    // Their own names.
    inside("const fetch = (x) => x; return fetch(input);"),
    inside("return setTimeout(input);", "function setTimeout(x) { return x; }"),
    inside("return input.fetch() + input.process.env;"),
    inside("return { setTimeout: 1, fetch: 2 };"),
    // Only its type.
    inside("let f: typeof fetch | undefined; return typeof setTimeout;"),
    inside("const x: Stats | undefined = undefined; return x;", 'import type { Stats } from "node:fs";'),
    // Modules without time and chance.
    inside(
      "return join('a', 'b') + inspect(input);",
      'import { join } from "node:path"; import { inspect } from "node:util";',
    ),
    inside("return createHash('sha256');", 'import { createHash } from "node:crypto";'),
    // Answered from the history, by this name too.
    inside("return randomUUID();", 'import { randomUUID } from "node:crypto";'),
    inside("return performance.now();", 'import { performance } from "node:perf_hooks";'),
    inside("return z.parse(input);", 'import { z } from "zod";'),
    // Read once, and recorded.
    inside("return w.sideEffect(() => process.env.REGION);"),
    inside("return w.sideEffect(() => hostname());", 'import { hostname } from "node:os";'),
    // A width, and not a workflow's context.
    "function area(w, h) { setTimeout(() => {}, w * h); }",
    "function each(w: string[]) { fetch('x'); return w.map(String); }",
  ],
  invalid: [
    ...(
      [
        ["setTimeout(() => {}, 10);", "setTimeout()", "w.sleep()"],
        ["setInterval(() => {}, 10);", "setInterval()", "w.sleep() in a loop"],
        ["setImmediate(() => {});", "setImmediate()", "await Promise.resolve()"],
        ["await fetch('x');", "fetch()", "a step"],
        ["new XMLHttpRequest();", "XMLHttpRequest", "a step"],
        ["new WebSocket('wss://x');", "WebSocket", "a step"],
        ["crypto.getRandomValues(new Uint8Array(8));", "crypto.getRandomValues()", "w.random() or w.uuid()"],
        ["await crypto.subtle.digest('SHA-256', input);", "crypto.subtle", "a step"],
        ["AbortSignal.timeout(10);", "AbortSignal.timeout()", "w.race() with w.sleep()"],
        ["return process.env.HOME;", "process.env", "the workflow's input"],
        ["return process.hrtime();", "process.hrtime()", "w.now()"],
        ["return process.hrtime.bigint();", "process.hrtime()", "w.now()"],
        ["process.nextTick(input);", "process.nextTick()", "await Promise.resolve()"],
        ["return process.cwd();", "process.cwd", "the workflow's input"],
        ["return process;", "process", "the workflow's input"],
        ["return performance.timeOrigin;", "performance.timeOrigin", "w.now()"],
        ["return import.meta.env;", "import.meta.env", "the workflow's input"],
        ["globalThis.setTimeout(input, 1);", "setTimeout()", "w.sleep()"],
        ["return globalThis.process.env.HOME;", "process.env", "the workflow's input"],
        ["return process['env'];", "process.env", "the workflow's input"],
        ["return process?.env!.HOME;", "process.env", "the workflow's input"],
        ["const { env } = process; return env;", "process.env", "the workflow's input"],
        // Passed on is as good as called.
        ["return new Promise((resolve) => setTimeout(resolve, 1));", "setTimeout()", "w.sleep()"],
        ["return input.map(fetch);", "fetch()", "a step"],
        // Recorded or not, it takes time.
        ["w.sideEffect(() => setTimeout(input, 1));", "setTimeout()", "w.sleep()"],
        // In callbacks, however deep.
        ["await w.map(input, async (x) => { [1].forEach(() => fetch(x)); });", "fetch()", "a step"],
      ] as const
    ).map(([body, what, instead]) => ({ code: inside(body), errors: [refused(what, instead)] })),
    ...(
      [
        ['import { readFileSync } from "node:fs";', "readFileSync('x');", 'readFileSync of "node:fs"', "a step"],
        ['import fs from "fs";', "fs.readFileSync('x');", 'fs.readFileSync of "fs"', "a step"],
        ['import * as fsp from "fs/promises";', "fsp.rm('x');", 'fsp.rm of "fs/promises"', "a step"],
        [
          'import { setTimeout as sleep } from "node:timers/promises";',
          "sleep(1);",
          'setTimeout of "node:timers/promises"',
          "w.sleep()",
        ],
        [
          'import { randomInt } from "node:crypto";',
          "randomInt(5);",
          'randomInt of "node:crypto"',
          "w.random() or w.uuid()",
        ],
        ['import { hostname } from "node:os";', "hostname();", 'hostname of "node:os"', "the workflow's input"],
        ['import { env } from "node:process";', "env.HOME;", 'env of "node:process"', "the workflow's input"],
        [
          'import { execSync } from "node:child_process";',
          "execSync('x');",
          'execSync of "node:child_process"',
          "a step",
        ],
        ['const { connect } = require("node:net");', "connect(1);", 'connect of "node:net"', "a step"],
      ] as const
    ).map(([top, body, what, instead]) => ({ code: inside(body, top), errors: [refused(what, instead)] })),
    // Where workflow code is, by whatever name.
    {
      code: 'import { workflow as define } from "@stepstream/sdk"; define("x", {}, async () => { await fetch("x"); });',
      errors: [{ messageId: "refused", line: 1, column: 91 }],
    },
    {
      code: 'import * as sdk from "@stepstream/sdk"; sdk.workflow("x", {}, async function () { await fetch("x"); });',
      errors: 1,
    },
    {
      code: 'import { workflow } from "@stepstream/sdk"; workflow("x", {}, body); async function body() { await fetch("x"); }',
      errors: 1,
    },
    {
      code: 'import { workflow } from "@stepstream/sdk"; const body = (async () => { await fetch("x"); }) satisfies F; export const x = workflow("x", {}, body as F);',
      errors: 1,
    },
    {
      code: 'import type { WorkflowContext } from "@stepstream/sdk"; async function payAll(ctx: WorkflowContext, xs: X[]) { await fetch("x"); }',
      errors: 1,
    },
    {
      code: 'import { type WorkflowContext as Ctx } from "@stepstream/sdk"; const f = async (x: X, c: Pick<Ctx, "run">) => { await fetch("x"); };',
      errors: 1,
    },
    {
      code: 'import type * as sdk from "@stepstream/sdk"; const o = { async f(c: sdk.WorkflowContext<S>) { await fetch("x"); } };',
      errors: 1,
    },
    { code: "export async function payAll(w, xs) { await w.run(pay, xs); await fetch('x'); }", errors: 1 },
    // What it calls and passes on, in the same file.
    { code: inside("return region();", "function region() { return process.env.REGION; }"), errors: 1 },
    {
      code: inside("return input.map(tag);", "const tag = (x) => x + deep(x); const deep = (x) => process.pid + x;"),
      errors: 1,
    },
    // One that calls itself, and one that calls it back.
    {
      code: inside(
        "return even(input);",
        "function even(n) { return n === 0 || odd(n - 1); } function odd(n) { process.pid; return n !== 0 && even(n - 1); }",
      ),
      errors: 1,
    },
    // A pipeline's map functions run in the coordinator, too.
    {
      code: 'import { pipeline } from "@stepstream/sdk"; pipeline("p", {}).step("a", a, (s) => process.env.A).parallel({ b: [b, (s) => process.pid] }).build();',
      errors: 2,
    },
  ],
});

javascript.run("no-nondeterminism, in JavaScript", plugin.rules["no-nondeterminism"], {
  valid: [inside("return Date.now();"), outside("setTimeout(() => {}, 1);")],
  invalid: [
    { code: inside("setTimeout(() => {}, 10);"), errors: [refused("setTimeout()", "w.sleep()")] },
    {
      code: 'const { workflow } = require("@stepstream/sdk"); workflow("x", {}, async () => process.env.A);',
      errors: 1,
    },
  ],
});
// Linters that are told about globals have them declared.
new RuleTester({ languageOptions: { globals: { fetch: "readonly", process: "readonly" } } }).run(
  "no-nondeterminism, with globals declared",
  plugin.rules["no-nondeterminism"],
  { valid: [outside("fetch('x');")], invalid: [{ code: inside("fetch(process.env.URL);"), errors: 2 }] },
);

const floating = (what: string) => ({
  message: `Nobody waits for ${what}: it is cancelled when the workflow ends, and its failure fails the run. Use await, return it, or pass it to w.all().`,
});

typescript.run("no-floating-step", plugin.rules["no-floating-step"], {
  valid: [
    inside("await w.run(a, 1); return w.run(b, 2);"),
    inside("const p = w.run(a, 1); await p;"),
    inside("await w.all([w.run(a, 1), w.sleep('1s')]);"),
    inside("await Promise.all(input.map((x) => w.run(a, x)));"),
    inside("const all = input.map(async (x) => { await w.run(a, x); }); await w.allSettled(all);"),
    inside("w.run(a, 1).catch(() => {}); w.run(a, 1).then(f, g);"),
    inside("void w.run(a, 1);"),
    inside("w.progress({}); w.compensate(a, 1); w.onQuery('x', () => 1);"),
    inside("track(w, input);", "function track(w, x) { w.progress(x); }"),
    inside("for (const x of input) await w.run(a, x);"),
    inside("input.forEach((x) => { seen.push(x); });", "const seen = [];"),
    inside("const lazy = () => w.run(a, 1); return lazy();"),
    outside("input.run(1); w.run(2);"),
    "function draw(w) { w.map(String); }",
  ],
  invalid: [
    { code: inside("w.run(a, 1);"), errors: [floating("w.run()")] },
    { code: inside("w.child(b, 1); w.sleep('1s'); w.allSettled([]);"), errors: 3 },
    { code: inside("void w.run(a, 1);"), options: [{ ignoreVoid: false }], errors: [floating("w.run()")] },
    { code: inside("w.run(a, 1).then(f);"), errors: [floating("w.run()")] },
    { code: inside("w.run(a, 1).finally(f);"), errors: [floating("w.run()")] },
    { code: inside("input && w.run(a, 1);"), errors: [floating("w.run()")] },
    { code: inside("input ? w.run(a, 1) : 0;"), errors: [floating("w.run()")] },
    { code: inside("f(), w.run(a, 1);"), errors: [floating("w.run()")] },
    { code: inside("w.run(a, 1)!; (w.run(a, 2) as any);"), errors: 2 },
    { code: inside("(async () => { await w.run(a, 1); })();"), errors: [floating("this async function")] },
    { code: inside("input.map((x) => w.run(a, x));"), errors: [floating("input.map()")] },
    { code: inside("if (input) w.run(a, 1);"), errors: 1 },
    {
      code: inside("runGates(w, gates);", 'import { runGates } from "@stepstream/sdk";'),
      errors: [floating("runGates()")],
    },
    {
      code: inside("payAll(w, input);", "async function payAll(w, xs) { await w.run(a, xs); }"),
      errors: [floating("payAll()")],
    },
    {
      code: 'import { workflow } from "@stepstream/sdk"; workflow("x", {}, async (input, { run }) => { run(a, 1); });',
      errors: [floating("run()")],
    },
    { code: inside("const { run: go } = w; go(a, 1);"), errors: [floating("go()")] },
    {
      code: 'import { workflow } from "@stepstream/sdk"; workflow("x", {}, async (input, ctx) => { ctx.run(a, 1); });',
      errors: [floating("ctx.run()")],
    },
    {
      code: inside("input.forEach((x) => w.run(a, x));"),
      errors: [
        {
          message:
            "forEach() waits for nothing that its callback returns. Use w.map(), or await in a for…of loop, instead.",
        },
      ],
    },
    { code: inside("input.forEach(async (x) => { await w.run(a, x); });"), errors: [{ messageId: "each" }] },
  ],
});

typescript.run("no-io-in-workflow", plugin.rules["no-io-in-workflow"], {
  valid: [
    inside("await w.run(a, 1); await Promise.resolve();"),
    inside("const p = w.run(a, 1); await p;"),
    inside("await runGates(w, gates);", 'import { runGates } from "@stepstream/sdk";'),
    inside("await payAll(w, input);", 'import { payAll } from "./pay.ts";'),
    inside("await Promise.all(chunk(input).map((x) => w.run(a, x)));", 'import { chunk } from "lodash";'),
    inside("await Order.parseAsync(input);", 'import { Order } from "./schemas.ts";'),
    inside("for await (const x of [w.run(a, 1)]) f(x);"),
    inside("for (const x of input) await w.run(a, x);"),
    inside("await local(input);", "async function local(x) { return x; }"),
    outside("await axios.get('x'); await new Promise(input); await import('x');", 'import axios from "axios";'),
  ],
  invalid: [
    {
      code: inside("await axios.get(input);", 'import axios from "axios";'),
      errors: [
        {
          message:
            "axios.get() is not given `w`, so it cannot be waiting for the run: workflow code may only await what `w` gives it. Use a step instead.",
        },
      ],
    },
    {
      code: inside("const [x] = await Promise.all(input.map((y) => load(y)));", 'import { load } from "./load.ts";'),
      errors: [{ messageId: "call" }],
    },
    { code: inside("await new Promise((resolve) => input.on('end', resolve));"), errors: [{ messageId: "promise" }] },
    { code: inside("const x = await import('./x.ts');"), errors: [{ messageId: "import" }] },
    { code: inside("import('./x.ts').then(input);"), errors: [{ messageId: "import" }] },
    { code: inside("for await (const line of input.lines) f(line);"), errors: [{ messageId: "forAwait" }] },
  ],
});

typescript.run("no-shared-state", plugin.rules["no-shared-state"], {
  valid: [
    inside("let n = 0; n++; const seen = new Map(); seen.set(1, 2); const o = { a: 1 }; o.a = 2; return n;"),
    inside(
      "return limit + names.map(String).length + table.get(input);",
      "const limit = 3; const names = ['a']; const table = new Map();",
    ),
    inside("return [...names].sort();", "const names = ['b', 'a'];"),
    inside("client.set(input);", 'import { client } from "./client.ts";'),
    inside("const found = []; found.push(...input); return found;"),
    outside("count++; cache.set(1, 2);", "let count = 0; const cache = new Map();"),
    `${inside("await w.run(a, 1);")}\nlet calls = 0; worker.handle(a, () => { calls++; });`,
    inside("const count = input; return { count };", "let count = 0; count = 1;"),
  ],
  invalid: [
    {
      code: inside("count++;", "let count = 0;"),
      errors: [
        {
          message:
            '"count" is shared by all runs of this process, and is in no run\'s history. Use a variable inside the workflow, or what a step returns, instead.',
        },
      ],
    },
    { code: inside("last = input;", "let last;"), errors: 1 },
    { code: inside("[last] = input; ({ last, ...rest } = input);", "let last, rest;"), errors: 3 },
    {
      code: inside("config.url = input;", "const config = { url: '' };"),
      errors: [{ message: /^"config", a part of which this changes, is shared/ }],
    },
    { code: inside("config.a.b.c ??= input; delete config.a;", 'import { config } from "./config.ts";'), errors: 2 },
    {
      code: inside(
        "cache.set(1, 2); list.push(1); seen.add(1); list.sort();",
        "const cache = new Map(), list = [], seen = new Set();",
      ),
      errors: 4,
    },
    { code: inside("state.done.push(1);", "const state = { done: [] };"), errors: 1 },
    { code: inside("Object.assign(config, input);", "const config = {};"), errors: 1 },
    { code: inside("globalThis.x = 1; process.env.A = '1'; undeclared = 2;"), errors: 3 },
    { code: inside("for (last of input) f();", "let last;"), errors: 1 },
    { code: inside("bump();", "let n = 0; const bump = () => { n += 1; };"), errors: 1 },
  ],
});

typescript.run("no-implicit-locale", plugin.rules["no-implicit-locale"], {
  valid: [
    inside("return input.toLocaleString('en-GB');"),
    inside("return new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC' }).format(w.now());"),
    inside("return new Date().toLocaleDateString('en-GB', { timeZone: 'UTC', ...input });"),
    inside("return input.toSorted((a, b) => a.localeCompare(b, 'en'));"),
    inside("return new Date().getUTCHours() + new Date().toISOString();"),
    inside("return new Intl.NumberFormat('en-GB');"),
    outside("return input.toLocaleString() + new Date().getHours();"),
  ],
  invalid: [
    {
      code: inside("return input.toLocaleString();"),
      errors: [{ message: "toLocaleString takes the locale of the machine. Name one, e.g. en-GB." }],
    },
    { code: inside("return new Intl.NumberFormat();"), errors: [{ messageId: "locale" }] },
    { code: inside("return input.toSorted((a, b) => a.localeCompare(b));"), errors: [{ messageId: "locale" }] },
    { code: inside("return new Intl.DateTimeFormat('en-GB');"), errors: [{ messageId: "timeZone" }] },
    {
      code: inside("return input.toLocaleDateString('en-GB', { month: 'long' });"),
      errors: [{ messageId: "timeZone" }],
    },
    { code: inside("return new Date().toLocaleString('en-GB');"), errors: [{ messageId: "timeZone" }] },
    {
      code: inside("return new Date().getHours();"),
      errors: [{ message: "getHours() takes the time zone of the machine. Use getUTCHours() instead." }],
    },
  ],
});

typescript.run("prefer-workflow-clock", plugin.rules["prefer-workflow-clock"], {
  valid: [
    inside("return w.now() + w.random() + new Date(w.now()).getTime() + Date.parse(input);"),
    outside("return Date.now() + Math.random();"),
  ],
  invalid: [
    {
      code: inside("return Date.now();"),
      errors: [{ message: "Date.now() is answered by the run. Say so: use w.now()." }],
    },
    {
      code: inside("return new Date();"),
      errors: [{ message: "new Date() is answered by the run. Say so: use new Date(w.now())." }],
    },
    { code: inside("return Date() + performance.now() + Math.random() + crypto.randomUUID();"), errors: 4 },
  ],
});

typescript.run("prefer-named-branches", plugin.rules["prefer-named-branches"], {
  valid: [
    inside("await w.race({ m: () => w.waitFor('m'), t: () => w.sleep(1) });"),
    inside("await w.race([w.waitFor('m'), w.sleep(1)]);"),
    inside("await w.race([() => help(w), () => w.sleep(1)]);", "async function help(w) { await w.waitFor('m'); }"),
    inside("await w.race(input.map((id) => w.run(pay, id)));"),
    inside("await w.all([help(w), w.sleep(1).then(() => 1)]);", "async function help(w) { await w.waitFor('m'); }"),
    inside("await Promise.race([w.run(pay, 1), w.run(pay, 2)]);"),
    inside("const Promise = input; await Promise.race([w.waitFor('m')]);"),
    outside("await Promise.race([input.waitFor('m').then(() => 1)]);"),
  ],
  invalid: [
    { code: inside("await w.race([w.waitFor('m').then((x) => x), w.sleep(1)]);"), errors: [{ messageId: "derived" }] },
    { code: inside("await w.any([w.run(pay, 1).catch(() => 0).finally(done)]);"), errors: [{ messageId: "derived" }] },
    {
      code: inside("await w.race([(async () => await w.waitFor('m'))(), w.sleep(1)]);"),
      errors: [{ messageId: "opaque" }],
    },
    {
      code: inside("await w.race([help(w), w.sleep(1)]);", "async function help(w) { await w.waitFor('m'); }"),
      errors: [{ messageId: "opaque", data: { group: "w.race" } }],
    },
    { code: inside("await Promise.race([w.waitFor('m'), w.sleep(1)]);"), errors: [{ messageId: "native" }] },
    {
      code: inside("await Promise.any([w.sleep(1), w.waitFor('m').then(() => 1)]);"),
      errors: [{ messageId: "native" }],
    },
  ],
});
