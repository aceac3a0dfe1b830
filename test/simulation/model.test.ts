/** The model of the simulation has every construct, and its reference says what the engine does. */
import { readFile } from "node:fs/promises";
import { type SimulatedRun, type SimulatedWorld, simulateWorld } from "@stepstream/testing";
import { describe, expect, it } from "vitest";
import { constructs } from "./constructs.ts";
import { model } from "./scenario.ts";

const page = await readFile(new URL("../../docs/features.md", import.meta.url), "utf8");
const features = [...page.matchAll(/^\| (?!feature |--- )(.+?) \|/gm)].map(([, name]) => name!);

describe("the model", () => {
  it("has every construct of docs/features.md", () => {
    expect(features.length).toBeGreaterThan(40);
    expect(Object.keys(constructs).toSorted()).toEqual(features.toSorted());
  });

  it("has the workflows that it names", () => {
    const names = new Set(model.workflows.map(({ name }) => name));
    for (const used of Object.values(constructs))
      if (Array.isArray(used)) for (const name of used) expect(names, name).toContain(name);
  });

  it("starts each of its workflows, and every run comes to what was worked out", async () => {
    const started = new Set<string>();
    const watched = {
      ...model,
      check: (run: SimulatedRun, world: SimulatedWorld) => {
        if (run.end?.type === "RunCompleted" || run.end?.type === "RunFailed") started.add(run.workflow);
        return model.check!(run, world);
      },
    };
    for (let seed = 1_001; seed <= 1_030; seed++) expect((await simulateWorld(watched, seed, 10)).faults).toEqual([]);
    for (const { name } of model.workflows) expect(started, name).toContain(name);
  });
});
