/** Metrics as a Prometheus would scrape them, of real processes; and whether dashboard, alerts and docs agree with them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { parser } from "@prometheus-io/lezer-promql";
import { connect } from "@stepstream/sdk";
import { INSTRUMENTS, type InstrumentSpec } from "@stepstream/telemetry";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { startTestServer, type TestServer } from "../support/nats.ts";
import { breaking, sum } from "./metrics/handlers.ts";

const ROOT = new URL("../../", import.meta.url);
const HANDLERS = fileURLToPath(new URL("metrics/handlers.ts", import.meta.url));

let server: TestServer;
const children: ChildProcess[] = [];
/** What both processes expose, together: the names, and the labels of each. */
let exposed: Map<string, Set<string>>;
let text: string;

beforeAll(async () => {
  server = await startTestServer();
  const namespace = `metrics-${process.pid}`;
  const start = async (program: string) => {
    const port = await freePort();
    const main = fileURLToPath(new URL(`services/${program}/src/main.ts`, ROOT));
    const args = [main, "--nats", server.url, "--namespace", namespace, "--metrics-port", String(port), HANDLERS];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    children.push(child);
    await once(child, "message");
    return async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  };
  const scrapes = [await start("coordinator"), await start("step-worker")];
  const client = await connect({ nats: server.url, namespace });
  for (const n of [1, 7, 13]) await (await client.start(sum, n)).result().catch(() => {});
  await client.start(breaking, 1);
  await client.start({ ...sum, name: "unknown" }, 1);
  await vi.waitFor(
    async () => {
      text = (await Promise.all(scrapes.map((scrape) => scrape()))).join("\n");
      expect(text).toMatch(/breaker_state\{[^}]*\} 2/);
      expect(text).toMatch(/^stepstream_runs_parked\{[^}]*\} 1$/m);
    },
    { timeout: 20_000, interval: 200 },
  );
  await client.close();
  exposed = new Map();
  for (const [, name, labels] of text.matchAll(/^([a-z_]+)\{([^}]*)\} /gm)) {
    const known = exposed.get(name!) ?? new Set<string>();
    exposed.set(name!, known);
    for (const [, label] of labels!.matchAll(/([a-z_]+)="/g)) known.add(label!);
  }
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await server?.stop();
});

/** The value of a metric with these labels. */
function value(name: string, labels: Record<string, string> = {}): number {
  const line = text
    .split("\n")
    .find((one) => one.startsWith(`${name}{`) && Object.entries(labels).every(([k, v]) => one.includes(`${k}="${v}"`)));
  return Number(line?.split(" ").at(-1));
}

/** As Prometheus has them. A conflict and a rebuild do not come about in so short a time. */
function inPrometheus(name: string, { kind }: InstrumentSpec): string {
  const plain = name.replaceAll(".", "_");
  return kind === "counter" ? `${plain}_total` : kind === "histogram" ? `${plain}_bucket` : plain;
}
const RARE = [
  "stepstream_coordinator_repairs_total",
  "stepstream_coordinator_swept_total",
  "stepstream_coordinator_journal_conflicts_total",
  "stepstream_coordinator_rebuilds_total",
  "stepstream_step_started_twice_total",
];

it("counts and measures what happened", () => {
  expect(value("stepstream_run_started_total", { stepstream_workflow: "sum" })).toBe(3);
  const ended = { stepstream_workflow: "sum", stepstream_outcome: "completed" };
  expect(value("stepstream_run_duration_count", ended)).toBe(2);
  expect(value("stepstream_run_duration_count", { ...ended, stepstream_outcome: "failed" })).toBe(1);
  const failed = { stepstream_step: "add", stepstream_outcome: "failed" };
  expect(value("stepstream_step_attempt_duration_count", failed)).toBe(4);
  expect(value("stepstream_step_retries_total", { stepstream_step: "add" })).toBe(3);
  expect(value("stepstream_step_schedule_to_start_count", { stepstream_step: "add" })).toBe(3);
  expect(value("stepstream_coordinator_partitions")).toBe(16);
  expect(value("stepstream_queue_taken", { stepstream_step: "broken" })).toBe(1);
  expect(value("stepstream_run_parked_total", { error_type: "UNKNOWN_WORKFLOW" })).toBeGreaterThan(0);
});

it("exposes every metric there is, with its attributes, and no others", () => {
  for (const [name, spec] of Object.entries(INSTRUMENTS)) {
    const metric = inPrometheus(name, spec);
    if (RARE.includes(metric)) continue;
    expect([...exposed.keys()], name).toContain(metric);
    for (const attribute of spec.attributes)
      expect([...exposed.get(metric)!], name).toContain(attribute.replaceAll(".", "_"));
  }
  const known = new Set(Object.entries(INSTRUMENTS).map(([name, spec]) => inPrometheus(name, spec)));
  const ours = [...exposed.keys()].filter((name) => name.startsWith("stepstream_") && !/_(sum|count)$/.test(name));
  expect(ours.filter((name) => !known.has(name))).toEqual([]);
});

it("tells nothing of a run, and nothing of the command line", () => {
  expect([...exposed.values()].flatMap((labels) => [...labels])).not.toContain("stepstream_run");
  expect(text).not.toContain("process_command");
});

describe("what is written about them", async () => {
  const read = (path: string) => readFile(new URL(path, ROOT), "utf8");
  const dashboard = JSON.parse(await read("infra/grafana/stepstream.json")) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  const alerts = parse(await read("infra/prometheus/alerts.yaml")) as {
    groups: { rules: { alert: string; expr: string; annotations: { description: string } }[] }[];
  };
  const queries = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [`dashboard: ${title}`, expr.replaceAll("$__rate_interval", "5m")] as const),
    ),
    ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [`alert: ${alert}`, expr] as const)),
  ];

  it("is much", () => expect(queries.length).toBeGreaterThan(25));

  it.each(queries)("%s asks for what is exposed", (_, query) => {
    const found = { names: [] as string[], labels: [] as string[], errors: 0 };
    parser.parse(query).iterate({
      enter(node) {
        const said = query.slice(node.from, node.to);
        if (node.name === "Identifier" && node.matchContext(["VectorSelector"])) found.names.push(said);
        if (node.name === "LabelName") found.labels.push(said);
        if (node.type.isError) found.errors++;
      },
    });
    expect(found.errors, query).toBe(0);
    expect(found.names.length, query).toBeGreaterThan(0);
    const labels = new Set(["le", "instance"]);
    for (const name of found.names) {
      if (RARE.includes(name)) continue;
      expect([...exposed.keys()], query).toContain(name);
      for (const label of exposed.get(name)!) labels.add(label);
    }
    if (found.names.some((name) => RARE.includes(name))) labels.add("stepstream_workflow");
    for (const label of found.labels) expect([...labels], query).toContain(label);
  });

  it("is in a table of all of them", async () => {
    const page = await read("docs/metrics.md");
    const rows = Object.entries<InstrumentSpec>(INSTRUMENTS).map(([name, { kind, attributes, about }]) => {
      const shown = attributes.map((one) => `\`${one}\``).join(", ");
      return `| \`${name}\` | ${kind} | ${shown} | ${about} |`;
    });
    for (const row of rows) expect(page).toContain(row);
    expect(page.split("\n").filter((line) => line.startsWith("| `stepstream."))).toHaveLength(rows.length);
  });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, "close");
  return port;
}
