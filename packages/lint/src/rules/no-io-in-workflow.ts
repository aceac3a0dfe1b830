import { bare, contains, importOf, type Node, rootOf, variableOf } from "../ast.ts";
import { type Check, workflowRule } from "../rule.ts";

/** An `await` on something that `w` has not given: the run would wait for what no message will ever bring (STALLED). */
export const noIoInWorkflow = workflowRule(
  {
    description: "Ask that workflow code waits for nothing but what `w` gives it.",
    messages: {
      import: "import() takes time that is in no run's history. Use an import at the top of the module instead.",
      forAwait:
        "A stream is in no run's history: workflow code may only await what `w` gives it. Use a step that reads it instead.",
      promise:
        "Nobody can replay a promise of your own: workflow code may only await what `w` gives it. Use w.sleep() or a step instead.",
      call: "{{what}} is not given `w`, so it cannot be waiting for the run: workflow code may only await what `w` gives it. Use a step instead.",
    },
  },
  (check) => {
    const { code, report } = check;
    return {
      ImportExpression(node) {
        report(node, "import");
      },
      ForOfStatement(node) {
        if (node.await && !code.mentionsContext(node.right)) report(node, "forAwait");
      },
      AwaitExpression({ argument }) {
        if (code.mentionsContext(argument)) return;
        if (contains(argument, (node) => node.type === "ImportExpression")) return; // said already
        let found: Node | undefined;
        contains(argument, (node) => {
          if (!found && isForeign(check, node)) found = node;
          return found !== undefined;
        });
        if (!found) return;
        if (found.type === "NewExpression") report(found, "promise");
        else report(found, "call", { what: `${check.source.getText(found.callee as never)}()` });
      },
    };
  },
);

/** Checks of a value: asynchronous by name, and done in no time. */
const PURE = /^(?:safe)?(?:parse|encode|decode|validate|spa)(?:Async)?$/;

function isForeign({ source, code }: Check, node: Node): boolean {
  if (node.type === "NewExpression") return node.callee.name === "Promise";
  if (node.type !== "CallExpression") return false;
  const callee = bare(node.callee);
  if (callee.type === "MemberExpression" && PURE.test(callee.property.name ?? "")) return false;
  const root = rootOf(callee);
  if (root.type !== "Identifier") return false;
  const imported = importOf(variableOf(source, root));
  // The SDK's own are given a `w`, and Node's own are no-nondeterminism's business.
  return imported !== undefined && !imported.from.startsWith("@stepstream/") && !code.isContext(root);
}
