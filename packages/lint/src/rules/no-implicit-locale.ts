import { bare, type Node, propertyOf, variableOf } from "../ast.ts";
import { workflowRule } from "../rule.ts";

/** What language and time zone a machine has is in no history: two coordinators would decide differently. */
export const noImplicitLocale = workflowRule(
  {
    description: "Ask workflow code to say which locale and which time zone it means.",
    messages: {
      locale: "{{what}} takes the locale of the machine. Name one, e.g. en-GB.",
      timeZone: "{{what}} takes the time zone of the machine. Name one as its option timeZone, e.g. UTC.",
      local: "{{what}}() takes the time zone of the machine. Use {{instead}}() instead.",
    },
  },
  ({ report, source }) => {
    const check = (call: Node, what: string, at: number, dates: boolean) => {
      const [locale, options] = [call.arguments[at], call.arguments[at + 1]];
      if (isMissing(locale)) return report(call, "locale", { what });
      if (dates && !names(options, "timeZone")) report(call, "timeZone", { what });
    };
    const intl = (call: Node) => {
      const callee = bare(call.callee);
      if (callee.type !== "MemberExpression" || bare(callee.object).name !== "Intl") return;
      if (variableOf(source, bare(callee.object))?.defs.length) return;
      const kind = propertyOf(callee) ?? "";
      if (/^[A-Z]/.test(kind) && kind !== "Locale") check(call, `Intl.${kind}`, 0, kind === "DateTimeFormat");
    };
    return {
      NewExpression: intl,
      CallExpression(call) {
        intl(call);
        const callee = bare(call.callee);
        if (callee.type !== "MemberExpression") return;
        const method = propertyOf(callee) ?? "";
        const local = LOCAL.exec(method);
        if (local) return report(call, "local", { what: method, instead: `${local[1]}UTC${local[2]}` });
        if (method === "localeCompare") return check(call, method, 1, false);
        if (/^toLocale(Upper|Lower)Case$/.test(method)) return check(call, method, 0, false);
        if (method === "toLocaleString") return check(call, method, 0, isDate(callee.object));
        if (/^toLocale(Date|Time)String$/.test(method)) check(call, method, 0, true);
      },
    };
  },
);

/** Of a Date, in local time. */
const LOCAL = /^(get|set)(FullYear|Month|Date|Day|Hours|Minutes)$/;

function isMissing(argument: Node | undefined): boolean {
  return argument === undefined || (argument.type === "Identifier" && argument.name === "undefined");
}

/** Does the object literal have this key? Of anything else nothing is known, so it may. */
function names(options: Node | undefined, key: string): boolean {
  if (options === undefined) return false;
  if (options.type !== "ObjectExpression") return true;
  return options.properties.some(
    (property: Node) => property.type !== "Property" || (property.key.name ?? property.key.value) === key,
  );
}

function isDate(node: Node): boolean {
  const at = bare(node);
  return at.type === "NewExpression" && at.callee.name === "Date";
}
