import type { Node } from "../ast.ts";
import { ANSWERED } from "../instead.ts";
import { globalUses, workflowRule } from "../rule.ts";

/** A matter of taste: a run answers these itself, so they are safe; `w` says so to whoever reads the code. */
export const preferWorkflowClock = workflowRule(
  {
    description: "Prefer `w.now()`, `w.random()` and `w.uuid()` to the globals that a run answers in their place.",
    messages: { prefer: "{{what}} is answered by the run. Say so: use {{instead}}." },
  },
  (check) => ({
    Program(program: Node) {
      for (const { path, node } of globalUses(check, program)) {
        const what = path.slice(0, 2).join(".");
        if (path.length > 1) {
          const instead = ANSWERED.get(what);
          if (instead) check.report(node(2), "prefer", { what: `${what}()`, instead });
          continue;
        }
        const { parent } = node(1);
        const now = what === "Date" && /^(New|Call)Expression$/.test(parent.type) && parent.callee === node(1);
        if (!now || (parent.type === "NewExpression" && parent.arguments.length > 0)) continue;
        const instead = parent.type === "NewExpression" ? "new Date(w.now())" : "w.now()";
        check.report(parent, "prefer", { what: parent.type === "NewExpression" ? "new Date()" : "Date()", instead });
      }
    },
  }),
);
