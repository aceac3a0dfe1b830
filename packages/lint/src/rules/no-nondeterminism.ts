import type { Node } from "../ast.ts";
import { importOf } from "../ast.ts";
import { CALLED, insteadOf, insteadOfModule } from "../instead.ts";
import { globalUses, identifiersOf, isValue, moduleVariables, usesOf, workflowRule } from "../rule.ts";

/** Time, chance, files, networks, the environment: what a replay on another machine would answer otherwise. */
export const noNondeterminism = workflowRule(
  {
    description: "Refuse in workflow code what is in no run's history.",
    messages: { refused: "{{what}} is not deterministic and cannot be used in a workflow. Use {{instead}} instead." },
  },
  (check) => ({
    Program(program) {
      const { code, report } = check;
      for (const { identifier, path, node } of globalUses(check, program)) {
        const found = insteadOf(path);
        // What is read once and recorded is in the history, unless it takes time.
        if (!found || (code.isRecorded(identifier) && !TAKES_TIME.has(found.what))) continue;
        report(node(found.parts), "refused", { what: nameOf(found.what), instead: found.instead });
      }
      for (const variable of moduleVariables(check, program)) {
        const imported = importOf(variable);
        if (!imported) continue;
        for (const identifier of identifiersOf(variable).filter(isValue)) {
          if (!code.has(identifier) || code.isRecorded(identifier)) continue;
          for (const use of usesOf(identifier)) {
            const whole = imported.name === "*" || imported.name === "default";
            const path = whole ? use.path.slice(1) : [imported.name, ...use.path.slice(1)];
            const instead = insteadOfModule(imported.from, path);
            if (instead === undefined) continue;
            const what = `${[whole ? use.path[0] : imported.name, ...(whole ? path.slice(0, 1) : [])].join(".")} of "${imported.from}"`;
            report(use.node(whole ? 2 : 1), "refused", { what, instead });
          }
        }
      }
    },
    MetaProperty(node: Node) {
      const member = node.parent;
      if (node.meta.name !== "import" || member.type !== "MemberExpression" || member.property.name !== "env") return;
      check.report(member, "refused", { what: "import.meta.env", instead: "the workflow's input" });
    },
  }),
);

const TAKES_TIME = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "fetch",
  "AbortSignal.timeout",
  "crypto.subtle",
]);

function nameOf(what: string): string {
  return CALLED.has(what) ? `${what}()` : what;
}
