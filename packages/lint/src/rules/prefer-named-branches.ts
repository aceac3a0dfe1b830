import { bare, isFunction, type Node, propertyOf, variableOf } from "../ast.ts";
import { type Check, workflowRule } from "../rule.ts";

/** A branch of a race that cannot be cancelled as a whole when it loses: a wait for a signal in it would take the next one. */
export const preferNamedBranches = workflowRule(
  {
    description: "Ask that branches of a race are given as functions, by name.",
    messages: {
      opaque:
        "{{group}}() cannot cancel this branch: it is the promise of an async function. Use named branches: {{group}}({ first: () => …, second: () => … }).",
      derived:
        "Say which branch came first by its name instead of then(). Use named branches: {{group}}({ first: () => …, second: () => … }).",
      native:
        "Promise.{{method}}() cancels nothing: a wait for a signal that loses takes the next one. Use named branches: w.{{method}}({ first: () => …, second: () => … }).",
    },
  },
  (check) => ({
    CallExpression(call) {
      const callee = bare(call.callee);
      const [given] = call.arguments;
      const list = given && bare(given);
      if (list?.type !== "ArrayExpression") return;
      const method = check.code.methodOf(call);
      if (method === "race" || method === "any") {
        for (const element of list.elements.filter(Boolean)) {
          const id = kindOf(check, bare(element));
          if (id) check.report(element, id, { group: `w.${method}` });
        }
      } else if (isNativeRace(check, callee)) {
        const waits = list.elements.some((element: Node | null) => element && waitsForSignal(check, bare(element)));
        if (waits) check.report(call, "native", { method: propertyOf(callee)! });
      }
    },
  }),
);

function kindOf(check: Check, element: Node): "opaque" | "derived" | undefined {
  if (element.type !== "CallExpression" || check.code.methodOf(element) !== undefined) return undefined;
  const callee = bare(element.callee);
  if (callee.type === "MemberExpression" && /^(then|catch|finally)$/.test(propertyOf(callee) ?? ""))
    return check.code.mentionsContext(callee.object) ? "derived" : undefined;
  if (isFunction(callee)) return callee.async && check.code.mentionsContext(callee) ? "opaque" : undefined;
  const given = element.arguments.some(
    (one: Node) => bare(one).type === "Identifier" && check.code.isContext(bare(one)),
  );
  return callee.type === "Identifier" && given ? "opaque" : undefined;
}

function isNativeRace({ source }: Check, callee: Node): boolean {
  if (callee.type !== "MemberExpression" || !/^(race|any)$/.test(propertyOf(callee) ?? "")) return false;
  const object = bare(callee.object);
  return object.type === "Identifier" && object.name === "Promise" && !variableOf(source, object)?.defs.length;
}

/** `w.waitFor(…)`, also with `.then(…)`. */
function waitsForSignal(check: Check, element: Node): boolean {
  if (element.type !== "CallExpression") return false;
  if (check.code.methodOf(element) === "waitFor") return true;
  const callee = bare(element.callee);
  return callee.type === "MemberExpression" && waitsForSignal(check, bare(callee.object));
}
