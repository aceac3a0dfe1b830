// What a workflow file may keep at its top, or import by name, before it imports the SDK. Prints what became of each.
import {
  createECDH,
  generateKeyPairSync,
  generateKeySync,
  generatePrimeSync,
  getRandomValues,
  randomBytes,
  randomInt,
  randomUUID,
  randomUUIDv7,
} from "node:crypto";
import { performance as hooks } from "node:perf_hooks";
import { hrtime, memoryUsage, uptime } from "node:process";
import { setTimeout as timer } from "node:timers";
import { setInterval as every, scheduler, setImmediate as soon, setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { workflow } from "@stepstream/sdk";
import { z } from "zod";
import { Play } from "../src/run/play.ts";

const now = Date.now;
const { random } = Math;
const MyDate = Date;
const f = fetch;
const later = setTimeout;
const sleep = promisify(setTimeout);
const { timeout } = AbortSignal;
const { bigint } = process.hrtime;
const { mark } = performance;
const formatter = new Intl.DateTimeFormat("en", { timeZone: "UTC", timeStyle: "medium" });
const { format } = formatter;
const { Temporal } = globalThis as any;

const asked: Record<string, () => unknown> = {
  "Date.now": () => now() === 1_000_001,
  "new Date()": () => new MyDate().getTime() === 1_000_001,
  "Date()": () => MyDate() === new Date(1_000_001).toString(),
  "Math.random": () => random() < 1,
  "performance.now": () => hooks.now() === 1_000_001,
  randomUUID: () => randomUUID().length === 36,
  "equal dates": () => new MyDate(1).constructor === Date && new Date().constructor === MyDate,
  "subclass of Date": () => new (class extends MyDate {})().getTime() === 1_000_001,
  "performance.timeOrigin": () => performance.timeOrigin + performance.now() === 1_000_001,
  "Intl format": () => format() === format(1_000_001) && formatter.format === format,
  "Intl formatToParts": () => formatter.formatToParts()[0]!.value === formatter.formatToParts(1_000_001)[0]!.value,
  "Temporal.Now": () =>
    !Temporal ||
    (Temporal.Now.instant().epochMilliseconds === 1_000_001 &&
      Temporal.Now.zonedDateTimeISO("UTC").epochMilliseconds === 1_000_001 &&
      String(Temporal.Now.plainDateISO("UTC")) === "1970-01-01"),
  hrtime: () => hrtime(),
  "hrtime.bigint": () => bigint(),
  uptime: () => uptime(),
  memoryUsage: () => memoryUsage(),
  "performance.mark": () => mark.call(performance, "here"),
  generateKeyPairSync: () => generateKeyPairSync("ed25519"),
  generateKeySync: () => generateKeySync("hmac", { length: 64 }),
  generatePrimeSync: () => generatePrimeSync(32),
  generateKeys: () => createECDH("secp256k1").generateKeys(),
  randomUUIDv7: () => randomUUIDv7(),
  randomBytes: () => randomBytes(1),
  randomInt: () => randomInt(5),
  getRandomValues: () => getRandomValues(new Uint8Array(1)),
  fetch: () => f("http://localhost:1"),
  setTimeout: () => later(() => {}, 1),
  "node:timers": () => timer(() => {}, 1),
  promisified: () => sleep(1),
  "timers/promises setTimeout": () => wait(1),
  "timers/promises setImmediate": () => soon(),
  "timers/promises setInterval": () => every(1),
  "scheduler.wait": () => scheduler.wait(1),
  "scheduler.yield": () => scheduler.yield(),
  "AbortSignal.timeout": () => timeout.call(AbortSignal, 1),
};

const seen: Record<string, unknown> = {};
const code = workflow("captured", { input: z.any(), output: z.any() }, async () => {
  const drawn: unknown[] = [random(), randomUUID()];
  for (const [what, ask] of Object.entries(asked)) {
    try {
      seen[what] = ask();
    } catch (error) {
      seen[what] = (error as { code?: string }).code;
    }
  }
  return drawn;
});
const play = new Play(code);
await play.start();
const fault = await play.replayed();
process.stdout.write(JSON.stringify({ seen, fault: fault?.message, outside: Date.now() > 1e12 && random() < 1 }));
