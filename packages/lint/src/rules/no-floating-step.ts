import { bare, isFunction, type Node, propertyOf, variableOf } from "../ast.ts";
import { type Check, workflowRule } from "../rule.ts";
import { PROMISES } from "../workflow-code.ts";

/** A promise of `w` that nobody waits for: what it was for may be cancelled when the workflow ends, and its failure fails the run. */
export const noFloatingStep = workflowRule(
  {
    description: "Ask that whatever `w` promises is awaited, returned, assigned or passed on.",
    messages: {
      floating:
        "Nobody waits for {{what}}: it is cancelled when the workflow ends, and its failure fails the run. Use await, return it, or pass it to w.all().",
      each: "{{what}}() waits for nothing that its callback returns. Use w.map(), or await in a for…of loop, instead.",
    },
    options: { ignoreVoid: { type: "boolean" } },
  },
  (check) => {
    const ignoreVoid: boolean = check.options[0]?.ignoreVoid ?? true;

    /** The call behind an expression whose value is a promise of `w` that nobody handles. */
    function floating(expression: Node): Node | undefined {
      const node = bare(expression);
      switch (node.type) {
        case "UnaryExpression":
          return node.operator === "void" && !ignoreVoid ? floating(node.argument) : undefined;
        case "SequenceExpression":
          return first(node.expressions);
        case "LogicalExpression":
          return first([node.left, node.right]);
        case "ConditionalExpression":
          return first([node.consequent, node.alternate]);
        case "ArrayExpression":
          return first(node.elements.filter(Boolean));
        case "CallExpression":
          return fromCall(node);
        default:
          return undefined;
      }
    }

    function first(nodes: readonly Node[]): Node | undefined {
      for (const node of nodes) {
        const found = floating(node);
        if (found) return found;
      }
      return undefined;
    }

    function fromCall(call: Node): Node | undefined {
      if (isPromise(check, call)) return call;
      const callee = bare(call.callee);
      if (isFunction(callee)) return callee.async && check.code.mentionsContext(callee) ? call : undefined;
      if (callee.type !== "MemberExpression") return undefined;
      const [a, b] = call.arguments;
      switch (propertyOf(callee)) {
        case "then":
          return b === undefined ? floating(callee.object) : undefined;
        case "catch":
          return a === undefined ? floating(callee.object) : undefined;
        case "finally":
          return floating(callee.object);
        case "map":
        case "flatMap":
          return isFunction(a ?? call) && promises(a) ? call : undefined;
        default:
          return undefined;
      }
    }

    /** Does the callback return a promise of `w`? */
    function promises(callback: Node): boolean {
      if (callback.async) return check.code.mentionsContext(callback.body);
      return callback.body.type !== "BlockStatement" && floating(callback.body) !== undefined;
    }

    return {
      ExpressionStatement({ expression }) {
        const found = floating(expression);
        if (found) check.report(found, "floating", { what: textOf(found) });
      },
      CallExpression(call) {
        const callee = bare(call.callee);
        const [callback] = call.arguments;
        if (callee.type !== "MemberExpression" || propertyOf(callee) !== "forEach") return;
        if (callback && isFunction(callback) && promises(callback)) check.report(call, "each", { what: "forEach" });
      },
    };
  },
);

/** Is it a promise of the run's: of `w`, of `runGates(w, …)`, or of an async function of this file that is given a `w`? */
function isPromise({ code, source }: Check, call: Node): boolean {
  const method = code.methodOf(call);
  if (method !== undefined) return PROMISES.has(method);
  if (code.isSdk(call.callee, "runGates")) return true;
  const callee = bare(call.callee);
  if (callee.type !== "Identifier") return false;
  if (!call.arguments.some((one: Node) => bare(one).type === "Identifier" && code.isContext(bare(one)))) return false;
  const def = variableOf(source, callee)?.defs[0];
  if (def?.type === "FunctionName") return def.node.async;
  const init = def?.type === "Variable" && def.node.init ? bare(def.node.init) : undefined;
  return init !== undefined && isFunction(init) && init.async;
}

function textOf(call: Node): string {
  const callee = bare(call.callee);
  if (callee.type === "Identifier") return `${callee.name}()`;
  if (callee.type !== "MemberExpression") return "this async function";
  const object = bare(callee.object);
  return object.type === "Identifier" ? `${object.name}.${propertyOf(callee)}()` : `${propertyOf(callee)}()`;
}
