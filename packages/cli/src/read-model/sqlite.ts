/** node:sqlite, without the warning that it is experimental: people who look at their runs cannot do anything about it. */
const { emitWarning } = process;
process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
  if (!/SQLite is an experimental feature/.test(String(warning))) (emitWarning as any)(warning, ...rest);
}) as typeof process.emitWarning;
export const { DatabaseSync } = await import("node:sqlite");
process.emitWarning = emitWarning;
export type Database = InstanceType<typeof DatabaseSync>;
