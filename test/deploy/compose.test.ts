/** infra/compose.yaml and what it mounts agree with each other and with what the programs take. */
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { shutdownPlan } from "../../packages/program/src/shutdown.ts";
import { checkCommand, durationOf, isVariable, ROOT, read } from "./settings.ts";

interface Service {
  image: string;
  entrypoint?: string[];
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  stop_grace_period?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  ports?: string[];
  deploy?: { replicas: number };
  depends_on?: Record<string, { condition: string }>;
}

const yaml = async (path: string) => parse(await read(path), { merge: true });
const compose = (await yaml("infra/compose.yaml")) as { services: Record<string, Service>; volumes: object };
const services = Object.entries(compose.services);
const ours = services.filter(([, { image }]) => image.startsWith("${STEPSTREAM_IMAGE"));
const nats = services.filter(([, { image }]) => image.startsWith("${NATS_IMAGE"));
const running = ours.filter(([name]) => name === "coordinator" || name === "worker");

describe("infra/compose.yaml", () => {
  it("has the shape of production", () => {
    expect(nats.map(([name]) => name)).toEqual(["nats-1", "nats-2", "nats-3"]);
    expect(ours.map(([name]) => name)).toEqual(["namespace", "coordinator", "worker", "orders", "cli"]);
    for (const [name, { deploy }] of running) expect(deploy!.replicas, name).toBeGreaterThanOrEqual(2);
    for (const name of ["prometheus", "grafana", "jaeger"]) expect(compose.services[name], name).toBeDefined();
  });

  it.each(ours)("%s: command and variables are those of the programs", async (name, service) => {
    const { wrong, modules } = await checkCommand([...(service.entrypoint ?? []), ...service.command!]);
    expect(wrong).toEqual([]);
    for (const module of modules) expect(existsSync(`${ROOT}examples/containers/${module}`), module).toBe(true);
    expect(Object.keys(service.environment!).filter((variable) => !isVariable(variable))).toEqual([]);
    const servers = nats.map(([server]) => `nats://${server}:4222`).join(",");
    expect(service.environment!.NATS_URL, name).toBe(servers);
  });

  it.each(ours)("%s may do no more than it needs", (_name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
  });

  it.each(running)("%s ends before it is killed", (_name, { environment, stop_grace_period }) => {
    const patienceMs = durationOf(stop_grace_period!);
    const shutdownMs = durationOf(environment!.STEPSTREAM_SHUTDOWN_TIMEOUT!);
    expect(shutdownPlan(shutdownMs, undefined).endMs).toBeLessThan(patienceMs);
  });

  it("makes the namespace, with three replicas, before anything connects", () => {
    expect(compose.services.namespace!.command!.join(" ")).toContain("namespace create --replicas 3");
    for (const [name, { depends_on }] of running)
      expect(depends_on!.namespace!.condition, name).toBe("service_completed_successfully");
  });

  it("mounts files that are there, and volumes that it names", () => {
    for (const [name, { volumes = [] }] of services)
      for (const volume of volumes) {
        const [from] = volume.split(":") as [string];
        if (from.startsWith(".")) expect(existsSync(`${ROOT}infra/${from}`), `${name}: ${volume}`).toBe(true);
        else expect(Object.keys(compose.volumes), name).toContain(from);
      }
  });

  it("publishes ports to this machine only", () => {
    for (const [name, { ports = [] }] of services)
      for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/);
  });
});

/** A configuration of nats-server with all that it includes, without comments. */
async function natsConf(name: string): Promise<string> {
  const text = (await read(`infra/nats/${name}`)).replaceAll(/^ *#.*$/gm, "");
  const parts = text.split(/^include (\S+)$/m);
  return (await Promise.all(parts.map((part, i) => (i % 2 ? natsConf(part) : part)))).join("\n");
}

describe("the nats-servers", async () => {
  const conf = await natsConf("compose.conf");

  it("sync always, and know each other by the names of their services", () => {
    expect(conf).toMatch(/^ +sync_interval: always$/m);
    for (const [name, { environment, volumes, command }] of nats) {
      expect(conf).toContain(`@${name}:6222`);
      expect(environment!.NATS_NAME).toBe(name);
      expect(volumes).toContain(`${name}:${/store_dir: "(.+)"/.exec(conf)![1]}`);
      expect(command).toContain("/etc/nats/compose.conf");
    }
  });

  it("get every variable that their configuration asks for", () => {
    const own = new Set([...conf.matchAll(/^([A-Z_]+) = \{/gm)].map(([, name]) => name!));
    const asked = [...conf.matchAll(/\$([A-Z_]{4,})\b/g)].map(([, name]) => name!).filter((name) => !own.has(name));
    expect(own.size).toBeGreaterThanOrEqual(5);
    for (const [name, { environment }] of nats)
      for (const variable of asked) expect(environment, name).toHaveProperty(variable);
  });

  it.each(ours)("have a user of its own for the role of %s", async (name, { environment }) => {
    const { NATS_USER: user, NATS_PASSWORD: password, NATS_INBOX_PREFIX: inboxes } = environment!;
    const role = user!.replace("production-", "");
    expect(role).toBe(name === "coordinator" || name === "worker" ? name : "operator");
    const file = await read(`infra/nats/roles/${role}.conf`);
    expect(file).toMatch(new RegExp(`^ +user: "?${user}"?$`, "m"));
    expect(file).toContain(`NATS_INBOX_PREFIX=${inboxes}\n`);
    const variable = /password: \$(\w+)/.exec(file)![1]!;
    expect(compose.services["nats-1"]!.environment![variable]).toBe(password);
    expect(environment!.STEPSTREAM_NAMESPACE).toBe("production");
  });

  it("let the worker do the steps that there are", async () => {
    const workflows = Object.values(await import("../../examples/containers/workflows.ts"));
    const steps = workflows.filter(({ kind }) => kind === "step").map(({ name }) => name);
    expect(await read("infra/nats/roles/worker.conf")).toContain(`--steps ${steps.join(",")}\n`);
  });
});

it("Prometheus scrapes every coordinator, worker and nats-server where it has its metrics", async () => {
  interface Job {
    dns_sd_configs?: { names: string[]; port: number }[];
    static_configs?: { targets: string[] }[];
  }
  const { scrape_configs, rule_files } = (await yaml("infra/prometheus/prometheus.yaml")) as {
    scrape_configs: Job[];
    rule_files: string[];
  };
  for (const file of rule_files) expect(existsSync(`${ROOT}infra/prometheus/${file}`), file).toBe(true);
  const byName = scrape_configs.flatMap(({ dns_sd_configs = [] }) => dns_sd_configs);
  expect(byName.flatMap(({ names }) => names)).toEqual(running.map(([name]) => name));
  for (const { names, port } of byName)
    expect(compose.services[names[0]!]!.environment!.STEPSTREAM_METRICS_PORT).toBe(String(port));
  const targets = scrape_configs.flatMap(({ static_configs = [] }) => static_configs.flatMap((one) => one.targets));
  expect(targets).toContain("nats-exporter:7777");
  const exporter = compose.services["nats-exporter"]!.command!;
  expect(exporter).toContain("-port=7777");
  expect(exporter.filter((arg) => arg.startsWith("http"))).toEqual(nats.map(([name]) => `http://${name}:8222`));
  expect(await read("infra/nats/compose.conf")).toContain("http: 0.0.0.0:8222");
});

it("Grafana finds Prometheus, Jaeger and the dashboard", async () => {
  const { datasources } = await yaml("infra/grafana/provisioning/datasources/stepstream.yaml");
  for (const { url } of datasources as { url: string }[])
    expect(Object.keys(compose.services)).toContain(new URL(url).hostname);
  const { providers } = await yaml("infra/grafana/provisioning/dashboards/stepstream.yaml");
  const folder = providers[0].options.path as string;
  expect(compose.services.grafana!.volumes).toContain(`./grafana/stepstream.json:${folder}/stepstream.json:ro`);
});

it("development has a file of its own", async () => {
  const { services: development } = (await yaml("infra/compose.dev.yaml")) as { services: Record<string, Service> };
  expect(Object.keys(development)).toEqual(["nats", "jaeger"]);
  expect(development.jaeger!.image).toBe(compose.services.jaeger!.image);
});
