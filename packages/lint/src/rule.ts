import type { Rule } from "eslint";
import { type Node, propertyOf, scopeAt, type Variable, wrapped } from "./ast.ts";
import { WorkflowCode } from "./workflow-code.ts";

export interface Check {
  readonly code: WorkflowCode;
  readonly source: Rule.RuleContext["sourceCode"];
  readonly options: readonly any[];
  report(node: Node, messageId: string, data?: Record<string, string>): void;
}

/** A rule that looks at the nodes of the given types, as far as they are in workflow code. */
export function workflowRule(
  about: { description: string; messages: Record<string, string>; options?: object },
  visit: (check: Check) => Record<string, (node: Node) => void>,
): Rule.RuleModule {
  return {
    meta: {
      type: "problem",
      docs: { description: about.description },
      messages: about.messages,
      schema: about.options ? [{ type: "object", properties: about.options, additionalProperties: false }] : [],
    },
    create(context) {
      const source = context.sourceCode;
      const code = new WorkflowCode(source);
      const check: Check = {
        code,
        source,
        options: context.options,
        report: (node, messageId, data = {}) => context.report({ node: node as never, messageId, data }),
      };
      const visitors = visit(check);
      return Object.fromEntries(
        Object.entries(visitors).map(([type, see]) => [
          type,
          (node: Node) => {
            if (type === "Program" || code.has(node)) see(node);
          },
        ]),
      ) as unknown as Rule.RuleListener;
    },
  };
}

/** A use of a global or of something imported: `process.env.HOME` is the path process, env, HOME. */
export interface Use {
  readonly identifier: Node;
  readonly path: readonly string[];
  /** The expression that the first `parts` names of the path make. */
  node(parts: number): Node;
}

const GLOBAL_OBJECTS = new Set(["globalThis", "window", "self", "global"]);

/** All uses in workflow code of what the file does not define itself. */
export function globalUses({ source, code }: Check, program: Node): Use[] {
  const scope = scopeAt(source, program);
  let top = scope;
  while (top.upper) top = top.upper;
  const undeclared = top.through.map(({ identifier }) => identifier);
  const declared = top.variables.filter(({ defs }) => defs.length === 0).flatMap(identifiersOf);
  const identifiers = new Set([...undeclared, ...declared]);
  return [...identifiers].filter((at) => isValue(at) && code.has(at)).flatMap((at) => usesOf(at));
}

/** All variables of the module itself, with what is imported. */
export function moduleVariables({ source }: Check, program: Node): Variable[] {
  const scope = scopeAt(source, program);
  const variables: Variable[] = [];
  const add = (at: typeof scope) => {
    if (at.type === "module" || at.type === "global")
      variables.push(...at.variables.filter(({ defs }) => defs.length > 0));
  };
  add(scope);
  for (const child of (scope as any).childScopes ?? []) add(child);
  return [...new Set(variables)];
}

export function identifiersOf(variable: Variable): Node[] {
  return variable.references.map(({ identifier }) => identifier);
}

/** Not in a type, nor only asked for its type. */
export function isValue(identifier: Node): boolean {
  const { parent } = wrapped(identifier);
  if (identifier.type !== "Identifier") return false;
  if (parent.type === "UnaryExpression" && parent.operator === "typeof") return false;
  return !parent.type.startsWith("TS") || parent.type === "TSEnumMember";
}

/** One use, or one for each name where it is taken apart: `const { env, cwd } = process`. */
export function usesOf(identifier: Node): Use[] {
  const nodes: Node[] = [identifier];
  const path: string[] = [identifier.name];
  let at = wrapped(identifier);
  while (at.parent?.type === "MemberExpression" && at.parent.object === at) {
    const property = propertyOf(at.parent);
    if (property === undefined) break;
    nodes.push(at.parent);
    path.push(property);
    at = wrapped(at.parent);
  }
  const use = (more: string[] = [], place?: Node): Use => {
    const whole = [...path, ...more];
    const skip = GLOBAL_OBJECTS.has(whole[0]!) && whole.length > 1 ? 1 : 0;
    return {
      identifier,
      path: whole.slice(skip),
      node: (parts) => place ?? nodes[Math.min(parts + skip, nodes.length) - 1]!,
    };
  };
  const { parent } = at;
  if (parent?.type !== "VariableDeclarator" || parent.init !== at || parent.id.type !== "ObjectPattern") return [use()];
  return parent.id.properties.map((property: Node) =>
    property.type === "Property" && !property.computed
      ? use([property.key.name ?? String(property.key.value)], property)
      : use(),
  );
}
