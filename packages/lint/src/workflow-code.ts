/**
 * Which code of a file is workflow code: run by a coordinator, and replayed from a run's history.
 *
 * W1. The function given to `workflow(…)` of @stepstream/sdk, by whatever name that was imported; the map functions of a
 *     `pipeline(…)`.
 * W2. A function with a parameter of type WorkflowContext. Without types: with a parameter `w` that is asked for
 *     something only a workflow can ask for (`w.run(…)`, `w.sleep(…)` …).
 * W3. A function of the same file that workflow code calls or passes on.
 * W4. Whatever is inside any of these.
 */

import type { SourceCode } from "eslint";
import {
  bare,
  contains,
  type Definition,
  importedTypeName,
  importOf,
  isFunction,
  keyOf,
  type Node,
  propertyOf,
  type Variable,
  variableOf,
  wrapped,
} from "./ast.ts";

const SDK = "@stepstream/sdk";
const CONTEXT_TYPE = "WorkflowContext";

/** What of `w` is a promise: to be awaited, returned or passed on. */
export const PROMISES: ReadonlySet<string> = new Set([
  "run",
  "all",
  "allSettled",
  "race",
  "any",
  "map",
  "sleep",
  "repeatUntil",
  "waitFor",
  "until",
  "child",
  "scope",
  "uncancellable",
  "continueAsNew",
]);

/** Methods that no list, map or window has as well: a `w` that is asked for one of these is a workflow's. */
const TELLING: ReadonlySet<string> = new Set([
  "run",
  "allSettled",
  "sleep",
  "repeatUntil",
  "waitFor",
  "child",
  "compensate",
  "uncancellable",
  "continueAsNew",
  "patched",
  "sideEffect",
  "onQuery",
  "onUpdate",
]);

export class WorkflowCode {
  readonly #source: SourceCode;
  readonly #known = new Map<Node, boolean>();
  readonly #asking = new Set<Node>();
  readonly #parameters = new Map<Node, Node[]>();

  constructor(source: SourceCode) {
    this.#source = source;
  }

  /** Is the node inside workflow code? */
  has(node: Node): boolean {
    for (let at: Node | null = node; at; at = at.parent)
      if (isFunction(at) && this.#isWorkflowFunction(at)) return true;
    return false;
  }

  /** `w.run(…)` → "run", also as `run(…)` where that was taken out of `w`. */
  methodOf(call: Node): string | undefined {
    if (call.type !== "CallExpression") return undefined;
    const callee = bare(call.callee);
    if (callee.type === "MemberExpression") {
      const object = bare(callee.object);
      return object.type === "Identifier" && this.isContext(object) ? propertyOf(callee) : undefined;
    }
    return callee.type === "Identifier" ? this.#methodTakenOut(callee) : undefined;
  }

  /** Does the name stand for a `w`? */
  isContext(identifier: Node): boolean {
    const variable = variableOf(this.#source, identifier);
    return variable?.defs.some((def) => this.#isContextParameter(variable, def)) ?? false;
  }

  /** Has it anything to do with `w`? */
  mentionsContext(node: Node): boolean {
    return contains(
      node,
      (at) => at.type === "Identifier" && (this.isContext(at) || this.#methodTakenOut(at) !== undefined),
    );
  }

  /** Is it in the function given to `w.sideEffect`, which is called once and recorded? */
  isRecorded(node: Node): boolean {
    for (let at: Node | null = node; at?.parent; at = at.parent)
      if (isFunction(at) && this.methodOf(at.parent) === "sideEffect") return true;
    return false;
  }

  /** Is it a name that the SDK exports, such as `runGates`? */
  isSdk(callee: Node, name: string): boolean {
    const at = bare(callee);
    if (at.type === "MemberExpression") {
      const object = bare(at.object);
      if (object.type !== "Identifier" || propertyOf(at) !== name) return false;
      const imported = importOf(variableOf(this.#source, object));
      return imported?.from === SDK && imported.name === "*";
    }
    if (at.type !== "Identifier") return false;
    const imported = importOf(variableOf(this.#source, at));
    return imported?.from === SDK && imported.name === name;
  }

  // ---------------------------------------------------------------- which functions

  #isWorkflowFunction(fn: Node): boolean {
    const known = this.#known.get(fn);
    if (known !== undefined) return known;
    if (this.#asking.has(fn)) return false; // it calls itself: what calls it otherwise decides
    this.#asking.add(fn);
    const is = this.#isGiven(fn) || this.#contextParameter(fn) !== undefined || this.#isUsed(fn);
    this.#asking.delete(fn);
    if (is || this.#asking.size === 0) this.#known.set(fn, is);
    return is;
  }

  /** W1, for a function that is written where it is given. */
  #isGiven(expression: Node): boolean {
    const outer = wrapped(expression);
    let { parent } = outer;
    if (parent?.type === "CallExpression") return this.#isWorkflowCall(parent, outer) || this.#isPipelineCall(parent);
    // .parallel({ stats: [summarise, (s) => …] })
    while (parent?.type === "ArrayExpression" || parent?.type === "Property" || parent?.type === "ObjectExpression")
      parent = parent.parent;
    return parent?.type === "CallExpression" && this.#isPipelineCall(parent);
  }

  #isWorkflowCall(call: Node, argument: Node): boolean {
    return call.arguments.indexOf(argument) >= 2 && this.isSdk(call.callee, "workflow");
  }

  /** A method of a chain that begins with `pipeline(…)`. */
  #isPipelineCall(call: Node): boolean {
    let at = bare(call.callee);
    while (at.type === "MemberExpression") {
      at = bare(at.object);
      if (at.type !== "CallExpression") return false;
      if (this.isSdk(at.callee, "pipeline")) return true;
      at = bare(at.callee);
    }
    return false;
  }

  /** W1 and W3, for a function that has a name. */
  #isUsed(fn: Node): boolean {
    const outer = wrapped(fn);
    const declaration = fn.type === "FunctionDeclaration" ? fn : outer.parent;
    if (declaration?.type !== "FunctionDeclaration" && declaration?.type !== "VariableDeclarator") return false;
    if (declaration.id?.type !== "Identifier") return false;
    const variable = variableOf(this.#source, declaration.id);
    return (
      variable?.references.some(({ identifier }) => {
        const use = wrapped(identifier);
        const { parent } = use;
        if (parent?.type !== "CallExpression") return this.#isGiven(identifier);
        return this.#isGiven(identifier) || this.has(parent);
      }) ?? false
    );
  }

  // ---------------------------------------------------------------- which names

  /** The parameter that is a `w`. */
  #contextParameter(fn: Node): Node | undefined {
    return fn.params.find((parameter: Node) => {
      if (parameter.typeAnnotation) return this.#isContextType(parameter.typeAnnotation.typeAnnotation);
      if (parameter.type !== "Identifier" || parameter.name !== "w") return false;
      const variable = variableOf(this.#source, parameter);
      return variable?.references.some(({ identifier }) => isAskedForTelling(identifier)) ?? false;
    });
  }

  #isContextType(type: Node | undefined): boolean {
    if (!type) return false;
    if (type.type === "TSIntersectionType" || type.type === "TSUnionType")
      return type.types.some((part: Node) => this.#isContextType(part));
    if (type.type !== "TSTypeReference") return false;
    const { typeName } = type;
    if (typeName.type === "TSQualifiedName") return typeName.right.name === CONTEXT_TYPE;
    const imported = importedTypeName(variableOf(this.#source, typeName)) ?? typeName.name;
    if (imported === CONTEXT_TYPE) return true;
    // Pick<WorkflowContext, "run">
    const parts = (type.typeArguments ?? type.typeParameters)?.params ?? [];
    return parts.some((part: Node) => this.#isContextType(part));
  }

  #isContextParameter(variable: Variable, def: Definition): boolean {
    if (def.type !== "Parameter" || !isFunction(def.node)) return false;
    const parameter = def.node.params.find((one: Node) => one === def.name);
    if (!parameter) return false;
    return this.#contextParameters(def.node).includes(parameter) && variable.name === parameter.name;
  }

  /** By position where the function is given to `workflow`, else by type or name. */
  #contextParameters(fn: Node): Node[] {
    const known = this.#parameters.get(fn);
    if (known) return known;
    const found = this.#contextParameter(fn);
    const second = fn.params[1];
    const given = second !== undefined && this.#isGivenToWorkflow(fn);
    const parameters = [...(found ? [found] : []), ...(given ? [second] : [])];
    this.#parameters.set(fn, parameters);
    return parameters;
  }

  #isGivenToWorkflow(fn: Node): boolean {
    const outer = wrapped(fn);
    if (outer.parent?.type === "CallExpression" && this.#isWorkflowCall(outer.parent, outer)) return true;
    const declaration = fn.type === "FunctionDeclaration" ? fn : outer.parent;
    if (declaration?.id?.type !== "Identifier") return false;
    const uses = variableOf(this.#source, declaration.id)?.references ?? [];
    return uses.some(({ identifier }) => {
      const use = wrapped(identifier);
      return use.parent?.type === "CallExpression" && this.#isWorkflowCall(use.parent, use);
    });
  }

  /** `async (input, { run }) => …` and `const { run } = w`: the name `run` → "run". */
  #methodTakenOut(identifier: Node): string | undefined {
    for (const def of variableOf(this.#source, identifier)?.defs ?? []) {
      if (def.type === "Parameter" && isFunction(def.node)) {
        const pattern = this.#contextParameters(def.node).find(({ type }) => type === "ObjectPattern");
        if (pattern) return keyOf(pattern, def.name);
      }
      if (def.type !== "Variable" || def.node.id?.type !== "ObjectPattern" || !def.node.init) continue;
      const from = bare(def.node.init);
      if (from.type === "Identifier" && this.isContext(from)) return keyOf(def.node.id, def.name);
    }
    return undefined;
  }
}

function isAskedForTelling(identifier: Node): boolean {
  const member = wrapped(identifier).parent;
  if (member?.type !== "MemberExpression" || bare(member.object) !== identifier) return false;
  const call = wrapped(member).parent;
  return call?.type === "CallExpression" && bare(call.callee) === member && TELLING.has(propertyOf(member) ?? "");
}
