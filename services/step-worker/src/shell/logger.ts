/** Where handlers log to. */
export interface Logger {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

/** Where a worker logs to: its own lines, and those of its handlers. `console` fits. Without `debug` there are no such lines. */
export type LoggerOption = Omit<Logger, "debug"> & Partial<Logger>;

/**
 * The same logger, with fields on every line. An error instead of fields is the field `err`.
 *
 * @param fields - Asked for each line: which span is active changes.
 */
export function withFields(logger: LoggerOption, fields: () => object): Logger {
  const merged = (more?: object) => ({ ...fields(), ...(more instanceof Error ? { err: more } : more) });
  return {
    debug: (message, more) => logger.debug?.(message, merged(more)),
    info: (message, more) => logger.info(message, merged(more)),
    warn: (message, more) => logger.warn(message, merged(more)),
    error: (message, more) => logger.error(message, merged(more)),
  };
}
