/**
 * The Helm chart, by what it makes of the values in infra/helm/examples: it agrees with itself and with what the programs
 * take. Where `helm` is on the path, the chart is linted and rendered again; else a line on standard error reports that it was not.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { parser } from "@prometheus-io/lezer-promql";
import { Subjects } from "@stepstream/contracts";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { CHART, EXAMPLES, examples, header, KUBERNETES, render } from "../../infra/helm/render.ts";
import { serveHealth } from "../../packages/program/src/health.ts";
import { shutdownPlan } from "../../packages/program/src/shutdown.ts";
import { checkCommand, durationOf, isVariable, ROOT, read } from "./settings.ts";

/** Whatever it has. */
type Manifest = any;

const helm = await promisify(execFile)("helm", ["version", "--short"]).then(
  ({ stdout }) => stdout.trim(),
  () => undefined,
);
if (!helm) console.error("!!! The chart was NOT linted and rendered again: there is no helm on the path.");

const rendered = await Promise.all(
  (await examples()).map(async (name) => {
    const text = await read(`infra/helm/examples/${name}.yaml`);
    const all = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
    return { name, text, all: all.filter(Boolean) };
  }),
);
const ofKind = (kind: string) =>
  rendered.flatMap(({ name, all }) =>
    all.filter((one) => one.kind === kind).map((one) => [`${name}: ${one.metadata.name}`, one, all] as const),
  );
const deployments = ofKind("Deployment");
const pods = [...deployments, ...ofKind("Job")].map(([name, { spec }]) => [name, spec.template.spec] as const);
const environmentOf = (pod: Manifest) =>
  new Map<string, string | undefined>(pod.containers[0].env.map((one: Manifest) => [one.name, one.value]));
const isPartOf = (labels: object, of: object) => Object.entries(labels).every(([k, v]) => (of as Manifest)[k] === v);

describe("the rendered chart", () => {
  it.each(rendered)("$name is of this chart and these values", async ({ name, text }) => {
    expect(text.slice(0, text.indexOf("---"))).toBe(await header(name));
  });

  it.skipIf(!helm).each(rendered)("$name is what helm makes of it, and passes its lint", async ({ name, text }) => {
    expect(text).toBe(await render(name));
    await promisify(execFile)("helm", [
      "lint",
      "--strict",
      CHART,
      ...KUBERNETES,
      "--values",
      `${EXAMPLES}/${name}.values.yaml`,
    ]);
  });

  it.skipIf(!helm).each([
    ["coordinator.replcas=3", "additional properties 'replcas' not allowed"],
    ["image.repository=", "image.repository: the image with your modules in it"],
    ["workers.slow.replicas=1", "workers.slow.modules: files in the image that export handlers"],
    ["coordinator.auth.type=creds", "auth.secret: the Secret for auth.type creds"],
    ["workers.default.autoscaling.enabled=true", "workers.default.autoscaling.steps: the steps that its handlers do"],
  ])("is refused with --set %s, in words", async (value, words) => {
    await expect(render("small", "--set", value)).rejects.toThrow(words);
  });

  it("has everything there is", () => {
    const kinds = new Set(rendered.flatMap(({ all }) => all.map(({ kind }) => kind)));
    const expected = ["Deployment", "Job", "PodDisruptionBudget", "PodMonitor", "ScaledObject", "ServiceAccount"];
    expect([...kinds].sort()).toEqual(expected);
    expect(deployments).toHaveLength(5);
  });
});

describe("every pod", () => {
  it.each(pods)("%s: command, variables and modules are those of the programs", async (_, pod) => {
    const [{ command, args }] = pod.containers;
    const { wrong, modules } = await checkCommand([...command, ...args]);
    expect(wrong).toEqual([]);
    if (command[0] !== "stepstream") expect(modules.length).toBeGreaterThan(0);
    expect([...environmentOf(pod).keys()].filter((name) => !isVariable(name))).toEqual([]);
    expect(pod.enableServiceLinks).toBe(false);
  });

  it.each(pods)("%s: has no rights", (_, pod) => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(pod.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  it.each(pods)("%s: files that variables name are mounted, and volumes exist", (_, pod) => {
    const [{ volumeMounts }] = pod.containers;
    const files = [...environmentOf(pod).values()].filter((value) => value?.startsWith("/etc/stepstream/"));
    for (const file of files)
      expect(
        volumeMounts.some(({ mountPath }: Manifest) => file!.startsWith(`${mountPath}/`)),
        file,
      ).toBe(true);
    expect(volumeMounts.map(({ name }: Manifest) => name)).toEqual(pod.volumes.map(({ name }: Manifest) => name));
  });

  it("has the user of the image", async () => {
    const [, user] = /^USER (\d+):/m.exec(await read("Dockerfile"))!;
    expect(parse(await read("infra/helm/stepstream/values.yaml")).runAsUser).toBe(Number(user));
  });

  it("has a login of its own, where there is one", () => {
    const secrets = pods
      .filter(([name]) => name.startsWith("full: "))
      .map(([, pod]) => pod.volumes.find(({ name }: Manifest) => name === "auth")?.secret.secretName);
    expect(secrets).toEqual(["nats-coordinator", "nats-worker", undefined, "nats-operator"]);
    const [, slow] = pods.find(([name]) => name.endsWith("worker-slow"))!;
    const user = slow.containers[0].env.find(({ name }: Manifest) => name === "NATS_USER");
    expect(user.valueFrom.secretKeyRef).toEqual({ name: "nats-slow-worker", key: "user" });
  });
});

describe("every deployment", () => {
  it.each(deployments)("%s: is asked for its health where it answers", async (_, { spec }) => {
    const [container] = spec.template.spec.containers;
    const environment = environmentOf(spec.template.spec);
    const ports = Object.fromEntries(container.ports.map((one: Manifest) => [one.name, String(one.containerPort)]));
    expect(ports).toEqual({
      health: environment.get("STEPSTREAM_HEALTH_PORT"),
      metrics: environment.get("STEPSTREAM_METRICS_PORT"),
    });
    const at = await serveHealth(0, "127.0.0.1", { notReady: () => undefined });
    const probed = [container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet);
    expect(probed.map(({ path }) => path)).toEqual(["/healthz", "/readyz"]);
    for (const { path, port } of probed) {
      expect(port).toBe("health");
      expect((await fetch(at + path)).status).toBe(200);
    }
  });

  it.each(deployments)("%s: ends before it is killed", (_, { spec }) => {
    const { terminationGracePeriodSeconds } = spec.template.spec;
    const shutdownMs = durationOf(environmentOf(spec.template.spec).get("STEPSTREAM_SHUTDOWN_TIMEOUT")!);
    expect(shutdownPlan(shutdownMs, undefined).endMs).toBeLessThan(terminationGracePeriodSeconds * 1_000);
  });

  it.each(deployments)("%s: selects its own pods only, and so does its budget", (name, { metadata, spec }, all) => {
    const inChart = all.filter(({ kind }) => kind === "Deployment");
    const budget = all.find((one) => one.kind === "PodDisruptionBudget" && one.metadata.name === metadata.name);
    const spread = spec.template.spec.topologySpreadConstraints;
    expect(spread, name).toHaveLength(2);
    for (const { matchLabels } of [
      spec.selector,
      budget.spec.selector,
      ...spread.map((one: Manifest) => one.labelSelector),
    ])
      expect(inChart.filter((one) => isPartOf(matchLabels, one.spec.template.metadata.labels))).toEqual([
        expect.objectContaining({ metadata }),
      ]);
    expect(budget.spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  });

  it("loads modules that the example has", () => {
    const [, { spec }] = deployments.find(([name]) => name === "small: shop-stepstream-worker-default")!;
    for (const file of spec.template.spec.containers[0].args)
      expect(existsSync(`${ROOT}examples/containers/${file}`), file).toBe(true);
  });
});

describe("autoscaling", () => {
  const scaled = ofKind("ScaledObject");

  it("follows the consumers of the steps", () => {
    const [, object, all] = scaled.find(([name]) => name.endsWith("worker-default"))!;
    const subjects = new Subjects("shop", 16);
    expect(object.spec.triggers.map(({ metadata }: Manifest) => [metadata.stream, metadata.consumer])).toEqual(
      ["charge", "refund"].map((step) => [subjects.streamName("COMMANDS"), subjects.stepConsumer(step)]),
    );
    const target = all.find(
      (one) => one.kind === "Deployment" && one.metadata.name === object.spec.scaleTargetRef.name,
    );
    // Else every upgrade would set the number of pods back.
    expect(target.spec).not.toHaveProperty("replicas");
  });

  it("or a metric that exists", async () => {
    const [, object] = scaled.find(([name]) => name.endsWith("worker-slow"))!;
    const [{ type, metadata }] = object.spec.triggers;
    expect(type).toBe("prometheus");
    let errors = 0;
    parser.parse(metadata.query).iterate({ enter: (node) => void (node.type.isError && errors++) });
    expect(errors, metadata.query).toBe(0);
    expect(metadata.query).toBe(
      'sum(max by (stepstream_step) (stepstream_queue_waiting{stepstream_step=~"encode",namespace="shop"}))',
    );
    expect(await read("docs/metrics.md")).toContain("| `stepstream.queue.waiting` | observed | `stepstream.step` |");
  });
});
