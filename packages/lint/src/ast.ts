/**
 * Just enough of the tree and the scopes that ESLint, its TypeScript parser and oxlint all give. They agree in what is
 * used here, but not in their types.
 */

import type { SourceCode } from "eslint";

/** A node of any of the parsers. */
export interface Node {
  readonly type: string;
  readonly parent: Node;
  readonly [field: string]: any;
}

interface Reference {
  readonly identifier: Node;
}
export interface Definition {
  readonly type: string;
  /** The name that is defined. */
  readonly name: Node;
  /** What defines it: a function, a declarator, an import specifier. */
  readonly node: Node;
  readonly parent?: Node;
}
export interface Variable {
  readonly name: string;
  readonly defs: readonly Definition[];
  readonly references: readonly Reference[];
  readonly scope: Scope;
}
export interface Scope {
  readonly type: string;
  readonly set: ReadonlyMap<string, Variable>;
  readonly through: readonly Reference[];
  readonly variables: readonly Variable[];
  readonly upper: Scope | null;
}

export function scopeAt(source: SourceCode, node: Node): Scope {
  return source.getScope(node as never) as unknown as Scope;
}

/** What a name at this place stands for; undefined for a global that nobody declared. */
export function variableOf(source: SourceCode, identifier: Node): Variable | undefined {
  for (let scope: Scope | null = scopeAt(source, identifier); scope; scope = scope.upper) {
    const variable = scope.set.get(identifier.name);
    if (variable) return variable;
  }
  return undefined;
}

export function isFunction(node: Node): boolean {
  return (
    node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression" || node.type === "FunctionDeclaration"
  );
}

const WRAPPERS = new Set([
  "ChainExpression",
  "ParenthesizedExpression",
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
]);

/** The expression without what only matters to types and to reading. */
export function bare(node: Node): Node {
  let inner = node;
  while (WRAPPERS.has(inner.type)) inner = inner.expression;
  return inner;
}

/** The other way: the outermost expression that is this one but for types. */
export function wrapped(node: Node): Node {
  let outer = node;
  while (outer.parent && WRAPPERS.has(outer.parent.type)) outer = outer.parent;
  return outer;
}

/** `a.b` and `a["b"]` → "b". */
export function propertyOf(member: Node): string | undefined {
  const { property, computed } = member;
  if (!computed) return property.name;
  return property.type === "Literal" ? String(property.value) : undefined;
}

/** `a.b.c` → `a`. */
export function rootOf(node: Node): Node {
  let inner = bare(node);
  while (inner.type === "MemberExpression") inner = bare(inner.object);
  return inner;
}

/** Is there such a node in it, itself included? */
export function contains(node: Node, is: (node: Node) => boolean): boolean {
  if (is(node)) return true;
  for (const [key, value] of Object.entries(node)) {
    if (key === "parent" || key === "loc" || key === "range") continue;
    const children = Array.isArray(value) ? value : [value];
    for (const child of children) if (isNode(child) && contains(child, is)) return true;
  }
  return false;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** Where a name was imported from, and under which name: "*" for all, "default" for the default. */
export interface Imported {
  readonly from: string;
  readonly name: string;
}

export function importOf(variable: Variable | undefined): Imported | undefined {
  const def = variable?.defs[0];
  if (!def) return undefined;
  if (def.type === "ImportBinding") {
    const declaration = def.parent ?? def.node.parent;
    if (declaration.importKind === "type" || def.node.importKind === "type") return undefined;
    return { from: declaration.source.value, name: nameOfSpecifier(def.node) };
  }
  if (def.type !== "Variable" || !def.node.init) return undefined;
  const call = bare(def.node.init);
  if (call.type !== "CallExpression" || call.callee.type !== "Identifier" || call.callee.name !== "require")
    return undefined;
  const [source] = call.arguments;
  if (source?.type !== "Literal") return undefined;
  const name = def.node.id.type === "ObjectPattern" ? keyOf(def.node.id, def.name) : "*";
  return name === undefined ? undefined : { from: String(source.value), name };
}

/** The imported name of a type, which may be imported as a type only. */
export function importedTypeName(variable: Variable | undefined): string | undefined {
  const def = variable?.defs[0];
  return def?.type === "ImportBinding" ? nameOfSpecifier(def.node) : undefined;
}

function nameOfSpecifier(specifier: Node): string {
  if (specifier.type === "ImportNamespaceSpecifier") return "*";
  if (specifier.type === "ImportDefaultSpecifier") return "default";
  return specifier.imported.name ?? specifier.imported.value;
}

/** `{ run: go }` and the name `go` → "run". */
export function keyOf(pattern: Node, name: Node): string | undefined {
  for (const property of pattern.properties) {
    if (property.type !== "Property" || property.computed) continue;
    const { value } = property;
    if ((value.type === "AssignmentPattern" ? value.left : value) === name)
      return property.key.name ?? String(property.key.value);
  }
  return undefined;
}
