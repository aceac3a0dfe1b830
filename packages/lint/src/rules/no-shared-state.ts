import { bare, importOf, type Node, propertyOf, rootOf, type Variable, variableOf } from "../ast.ts";
import { type Check, workflowRule } from "../rule.ts";

/** A change to what outlives the run: other runs of the process see it, and a replay elsewhere does not. */
export const noSharedState = workflowRule(
  {
    description: "Refuse changes in workflow code to what its module, or the process, holds.",
    messages: {
      shared:
        "{{what}} is shared by all runs of this process, and is in no run's history. Use a variable inside the workflow, or what a step returns, instead.",
    },
  },
  (check) => {
    const change = (target: Node) => {
      const at = bare(target);
      if (at.type === "ObjectPattern")
        for (const property of at.properties) change(property.type === "Property" ? property.value : property.argument);
      else if (at.type === "ArrayPattern") for (const element of at.elements) element && change(element);
      else if (at.type === "AssignmentPattern") change(at.left);
      else if (at.type === "RestElement") change(at.argument);
      else if (isShared(check, at)) check.report(at, "shared", { what: named(at) });
    };
    return {
      AssignmentExpression: ({ left }) => change(left),
      UpdateExpression: ({ argument }) => change(argument),
      UnaryExpression({ operator, argument }) {
        if (operator === "delete") change(argument);
      },
      ForOfStatement({ left }) {
        if (left.type !== "VariableDeclaration") change(left);
      },
      ForInStatement({ left }) {
        if (left.type !== "VariableDeclaration") change(left);
      },
      CallExpression(call) {
        const callee = bare(call.callee);
        if (callee.type !== "MemberExpression") return;
        const method = propertyOf(callee) ?? "";
        const object = bare(callee.object);
        if (CHANGES.test(method) && holdsCollection(check, object))
          check.report(call, "shared", { what: named(object) });
        const [target] = call.arguments;
        if (object.type === "Identifier" && CHANGERS.has(`${object.name}.${method}`) && target) {
          const at = bare(target);
          if (isShared(check, at)) check.report(call, "shared", { what: named(at) });
        }
      },
    };
  },
);

/** Methods of lists, maps, sets and the like that change what they are called on. */
const CHANGES = /^(?:push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|set|add|delete|clear|append)$/;
const CHANGERS = new Set([
  "Object.assign",
  "Object.defineProperty",
  "Object.defineProperties",
  "Object.setPrototypeOf",
  "Object.freeze",
  "Reflect.set",
  "Reflect.deleteProperty",
  "Reflect.defineProperty",
]);
const GLOBAL_OBJECTS = new Set(["globalThis", "window", "self", "global"]);

/** Something of the module's or the process's, or a part of it. */
function isShared({ source }: Check, node: Node): boolean {
  const root = rootOf(node);
  if (root.type !== "Identifier") return false;
  const variable = variableOf(source, root);
  if (!variable || variable.defs.length === 0)
    return root === node || GLOBAL_OBJECTS.has(root.name) || BUILT_IN.has(root.name);
  return isOfModule(variable);
}

const BUILT_IN = new Set(["Array", "Date", "JSON", "Math", "Object", "Promise", "console", "process"]);

function isOfModule({ scope }: Variable): boolean {
  return scope.type === "module" || scope.type === "global";
}

/** A list, map or set of the module: by how it was made, for an import may be anything. */
function holdsCollection({ source }: Check, object: Node): boolean {
  const root = rootOf(object);
  if (root.type !== "Identifier") return false;
  const variable = variableOf(source, root);
  const def = variable?.defs[0];
  if (!variable || !def || !isOfModule(variable) || importOf(variable)) return false;
  if (def.type !== "Variable" || !def.node.init) return def.type === "Variable";
  const init = bare(def.node.init);
  if (object !== root) return init.type === "ObjectExpression" || init.type === "ArrayExpression";
  return init.type === "ArrayExpression" || init.type === "NewExpression";
}

function named(node: Node): string {
  const root = rootOf(node);
  return root === node ? `"${root.name}"` : `"${root.name}", a part of which this changes,`;
}
