/**
 * Pipelines: workflows whose graph is known before they run.
 *
 *   pipeline(name, { input, output }).step(…).map(…).parallel(…).gate(…).build()  -> Workflow with `graph`
 *
 * A pipeline is interpreted through the WorkflowContext and nothing else, so its runs have the same history as
 * any other's.
 *
 * P1. Nodes run one after the other; what a node gives is `s[node]` for all that come after it.
 * P2. Data flow is checked by the compiler: a node without a map takes what the last one gave if that fits,
 *     names are unique, and what the last node gives is the pipeline's output.
 * P3. Nobody can change `s` or anything in it.
 * P4. Gates that follow each other are one group, sorted by level. A gate gives nothing to the next node: that
 *     takes what the node before the gates gave.
 * P5. A map function that throws fails the run, with the name of its node.
 *
 * Checked elsewhere:
 *   P1  pipeline.test.ts: (P1)
 *   P2  test/types/wrong-wiring.test.ts: refuses `$code`
 *   P3  pipeline.test.ts: (P3)
 *   P4  pipeline.test.ts: (P4)
 *   P5  pipeline.test.ts: (P5)
 */

import {
  checkDefinition,
  checkDuration,
  checkFunction,
  checkKeys,
  checkName,
  checkObject,
  checkOneOf,
  checkSchema,
  checkWhole,
  deepFreeze,
  refuse,
} from "@stepstream/contracts";
import type { z } from "zod";
import { byLevel, type GateResult, type GateSpec, gate, runGate } from "./gate.ts";
import type { AnyStep, StepInput, StepOutput } from "./step.ts";
import { type GraphNode, type GroupOptions, type Workflow, type WorkflowContext, workflow } from "./workflow.ts";

type Schema = z.ZodType;
/** What has been given so far: the pipeline's `input`, and one entry for each node. */
type Given = Record<string, unknown>;
type Show<T> = { [K in keyof T]: T[K] } & {};

/** A name that is not taken yet; else a type that says so. */
type NewName<N extends string, S> = N extends keyof S ? `there is a node "${N}" already` : N;

/** A map may be left out only where the last output fits the step's input. */
type MapFor<Last, S extends AnyStep, G> = [Last] extends [StepInput<S>]
  ? [map?: NoInfer<(s: Readonly<G>) => StepInput<S>>]
  : [mapFromLastOutputToInput: NoInfer<(s: Readonly<G>) => StepInput<S>>];

/** The branches of a parallel node, none of them with a name that is taken. */
type NewBranches<G> = Record<string, AnyStep> & { [K in keyof G]?: `there is a node "${K & string}" already` };

/** What a parallel node's branches give. */
type Branches<B, M extends Mode> = {
  [K in keyof B]: M extends "allSettled" ? PromiseSettledResult<StepOutput<B[K]>> : StepOutput<B[K]>;
};
type Mode = "all" | "allSettled";

/** In a compiler's message: what the last node gives is not what the pipeline promises. */
interface LastOutputDoesNotFitPipelineOutput<Has, Needs> {
  has: Has;
  needs: Needs;
}

export type GateNode = Pick<GateSpec, "level" | "timeout" | "cwd" | "env" | "passEnv"> &
  ({ command: string; manual?: false } | { manual: true; command?: string });

/**
 * A pipeline in the making. Each call gives a new one, so a common beginning can be shared.
 *
 * `I` and `O` are its schemas, `G` what a map function is given, `Last` what the next node takes by itself.
 */
export interface PipelineBuilder<I extends Schema, O extends Schema, G, Last> {
  /** One step. `map` makes its input from what there is; without one it takes the last node's output. */
  step<N extends string, S extends AnyStep>(
    name: NewName<N, G>,
    step: S,
    ...map: MapFor<Last, S, G>
  ): PipelineBuilder<I, O, Show<G & Record<N, StepOutput<S>>>, StepOutput<S>>;

  /** A step for each of some items, at most `concurrency` (default 10) at a time; gives the outputs in order. */
  map<N extends string, S extends AnyStep>(
    name: NewName<N, G>,
    step: S,
    items: NoInfer<(s: Readonly<G>) => readonly StepInput<S>[]>,
    options?: GroupOptions & { concurrency?: number },
  ): PipelineBuilder<I, O, Show<G & Record<N, StepOutput<S>[]>>, StepOutput<S>[]>;

  /**
   * Some steps at the same time. `mode` "all" (default): all or nothing; "allSettled": each outcome, as success
   * or failure. Each branch is an entry of `s`; the next node takes the record of them.
   */
  parallel<B extends NewBranches<G>, M extends Mode = "all">(
    branches: { [K in keyof B]: [step: B[K], map: NoInfer<(s: Readonly<G>) => StepInput<B[K]>>] },
    options?: { mode?: M } & GroupOptions,
  ): PipelineBuilder<I, O, Show<G & Branches<B, M>>, Branches<B, M>>;

  /** A command that must end with exit code 0, or a `manual` one, which is skipped. `s[name]` is its result. */
  gate<N extends string>(
    name: NewName<N, G>,
    gate: GateNode,
  ): PipelineBuilder<I, O, Show<G & Record<N, GateResult>>, Last>;

  /** The workflow. Compiles if the last node's output is what the pipeline promises. */
  build(
    this: [Last] extends [z.input<O>] ? unknown : LastOutputDoesNotFitPipelineOutput<Last, z.input<O>>,
  ): Pipeline<I, O>;
}

export type Pipeline<I extends Schema, O extends Schema> = Workflow<I, O> & { readonly graph: readonly GraphNode[] };

/**
 * Starts a pipeline.
 *
 * @throws {RangeError} A name or schema that makes no sense; at a node, its step, function or option, or a name that is
 *   taken; at `build()`, an empty pipeline.
 * @example
 * const etl = pipeline("etl", { input: Source, output: Report })
 *   .step("validate", validate)
 *   .map("transform", transform, (s) => s.validate.chunks, { concurrency: 8 })
 *   .step("save", save, (s) => ({ rows: s.transform }))
 *   .build();
 */
export function pipeline<I extends Schema, O extends Schema>(
  name: string,
  definition: { input: I; output: O; version?: number },
): PipelineBuilder<I, O, { input: z.output<I> }, z.output<I>> {
  checkName("name of a pipeline", name);
  checkObject(`definition of pipeline "${name}"`, definition);
  checkKeys(`of pipeline "${name}"`, definition, ["input", "output", "version"]);
  checkSchema(`input of pipeline "${name}"`, definition.input);
  checkSchema(`output of pipeline "${name}"`, definition.output);
  return builder(name, definition, []) as unknown as PipelineBuilder<I, O, { input: z.output<I> }, z.output<I>>;
}

// ---------------------------------------------------------------- what the builder collects

type MapFn = (s: Given) => unknown;
type Node =
  | { kind: "step"; name: string; step: AnyStep; map: MapFn | undefined }
  | { kind: "map"; name: string; step: AnyStep; items: MapFn; options: GroupOptions & { concurrency?: number } }
  | { kind: "parallel"; name: string; branches: [string, AnyStep, MapFn][]; mode: Mode; options: GroupOptions }
  | { kind: "gate"; name: string; level: number; spec: GateSpec };

interface AnyDefinition {
  input: Schema;
  output: Schema;
  version?: number;
}

function builder(name: string, definition: AnyDefinition, nodes: readonly Node[]) {
  const taken = new Set(["input", ...nodes.flatMap(entriesOf)]);
  const add = (node: Node) => {
    checkNode(name, node);
    for (const entry of entriesOf(node))
      if (taken.has(entry))
        throw new RangeError(`Pipeline "${name}" has a node "${entry}" already. Choose another name.`);
    return builder(name, definition, [...nodes, node]);
  };
  return {
    step: (node: string, step: AnyStep, map?: MapFn) => add({ kind: "step", name: node, step, map }),
    map: (node: string, step: AnyStep, items: MapFn, options = {}) =>
      add({ kind: "map", name: node, step, items, options }),
    parallel: (branches: Record<string, [AnyStep, MapFn]>, options: { mode?: Mode } & GroupOptions = {}) => {
      checkObject(`branches of a node of pipeline "${name}"`, branches);
      for (const [key, branch] of Object.entries(branches))
        if (!Array.isArray(branch)) refuse(`branch "${key}" of pipeline "${name}"`, branch, "[step, map function]");
      return add({
        kind: "parallel",
        name: Object.keys(branches).join("+"),
        branches: Object.entries(branches).map(([key, [step, map]]) => [key, step, map]),
        mode: options.mode ?? "all",
        options: options.onFailure === undefined ? {} : { onFailure: options.onFailure },
      });
    },
    gate: (node: string, spec: GateNode) => {
      checkObject(`gate "${node}" of pipeline "${name}"`, spec);
      return add({ kind: "gate", name: node, level: spec.level, spec: { name: node, ...spec } });
    },
    build: () => build(name, definition, nodes),
  };
}

/** @throws {RangeError} What JavaScript code may get wrong. */
function checkNode(pipeline: string, node: Node): void {
  const of = `of node "${node.name}" of pipeline "${pipeline}"`;
  if (typeof node.name !== "string" || node.name === "")
    refuse(`name of a node of pipeline "${pipeline}"`, node.name, "a string");
  switch (node.kind) {
    case "step":
      checkDefinition("step", `step ${of}`, node.step);
      if (node.map !== undefined) checkFunction(`map function ${of}`, node.map);
      return;
    case "map":
      checkDefinition("step", `step ${of}`, node.step);
      checkFunction(`items function ${of}`, node.items);
      checkWhole(`concurrency ${of}`, node.options.concurrency ?? 1);
      checkOneOf(`onFailure ${of}`, node.options.onFailure ?? "cancel", ["cancel", "await"]);
      return;
    case "parallel":
      for (const [key, step, map] of node.branches) {
        checkDefinition("step", `step of branch "${key}" of pipeline "${pipeline}"`, step);
        checkFunction(`map function of branch "${key}" of pipeline "${pipeline}"`, map);
      }
      checkOneOf(`mode ${of}`, node.mode, ["all", "allSettled"]);
      checkOneOf(`onFailure ${of}`, node.options.onFailure ?? "cancel", ["cancel", "await"]);
      return;
    case "gate":
      if (!Number.isFinite(node.level)) refuse(`level ${of}`, node.level, "a number");
      if (node.spec.timeout !== undefined) checkDuration(`timeout ${of}`, node.spec.timeout, { min: 1 });
      return;
    default:
      node satisfies never;
  }
}

/** The entries of `s` that a node makes. */
function entriesOf(node: Node): string[] {
  return node.kind === "parallel" ? node.branches.map(([key]) => key) : [node.name];
}

function build(name: string, definition: AnyDefinition, given: readonly Node[]) {
  if (given.length === 0) throw new RangeError(`Pipeline "${name}" has no nodes.`);
  const nodes = sortGates(given);
  const graph = Object.freeze(
    nodes.map((node) => Object.freeze({ name: node.name, kind: node.kind, steps: Object.freeze(stepsOf(node)) })),
  );
  return Object.freeze({ ...workflow(name, definition, (input, w) => interpret(name, nodes, input, w)), graph });
}

function stepsOf(node: Node): string[] {
  if (node.kind === "parallel") return node.branches.map(([, step]) => step.name);
  return [node.kind === "gate" ? gate.name : node.step.name];
}

/** Each group of gates that follow each other, by level (P4). */
function sortGates(nodes: readonly Node[]): Node[] {
  const sorted: Node[] = [];
  let group: Extract<Node, { kind: "gate" }>[] = [];
  for (const node of nodes) {
    if (node.kind === "gate") {
      group.push(node);
      continue;
    }
    sorted.push(...byLevel(group), node);
    group = [];
  }
  return [...sorted, ...byLevel(group)];
}

// ---------------------------------------------------------------- how it runs

async function interpret(pipeline: string, nodes: readonly Node[], input: unknown, w: WorkflowContext) {
  let s: Given = Object.freeze({ input: deepFreeze(input) });
  let last = input;
  for (const [done, node] of nodes.entries()) {
    w.progress({ step: done, total: nodes.length, name: node.name });
    const ask = <T>(map: (s: Given) => T): T => {
      try {
        return map(s);
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`The map function of node "${node.name}" of pipeline "${pipeline}" threw: ${why}`, { cause });
      }
    };
    switch (node.kind) {
      case "step": {
        last = deepFreeze(await w.run(node.step, node.map ? ask(node.map) : last));
        s = Object.freeze({ ...s, [node.name]: last });
        break;
      }
      case "map": {
        const items = ask((given) => Array.from(node.items(given) as Iterable<unknown>));
        const tick = tenths(w, { done, total: nodes.length, name: node.name, items: items.length });
        last = deepFreeze(
          await w.map(
            items,
            async (item) => {
              const output = await w.run(node.step, item);
              tick();
              return output;
            },
            node.options,
          ),
        );
        s = Object.freeze({ ...s, [node.name]: last });
        break;
      }
      case "parallel": {
        // All inputs first: a map function that throws must not leave half of the branches running.
        const inputs = node.branches.map(([, , map]) => ask(map));
        const promises = Object.fromEntries(node.branches.map(([key, step], i) => [key, w.run(step, inputs[i])]));
        last = deepFreeze(node.mode === "all" ? await w.all(promises, node.options) : await w.allSettled(promises));
        s = Object.freeze({ ...s, ...(last as Given) });
        break;
      }
      case "gate": {
        s = Object.freeze({ ...s, [node.name]: deepFreeze(await runGate(w, node.spec)) });
        break;
      }
      default:
        return node satisfies never;
    }
  }
  w.progress({ step: nodes.length, total: nodes.length, name: nodes.at(-1)!.name });
  return last;
}

/** Items below which a map's progress is not worth a message of its own. */
const MANY = 20;

/** Reports the progress inside a map of many items, at each tenth of them. */
function tenths(w: WorkflowContext, map: { done: number; total: number; name: string; items: number }): () => void {
  let ended = 0;
  const every = map.items < MANY ? Number.POSITIVE_INFINITY : Math.ceil(map.items / 10);
  return () => {
    ended++;
    if (ended % every === 0 && ended < map.items)
      w.progress({ step: map.done + ended / map.items, total: map.total, name: map.name });
  };
}
