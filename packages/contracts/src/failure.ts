import { z } from "zod";

/**
 * An error as it crosses the bus: name, message, stack, data and the chain of causes survive.
 */
export interface Failure {
  name: string;
  /** Stable, for programs. Errors that carry none get `ERROR`. */
  code: string;
  /** For people. May change between releases; never parse it. */
  message: string;
  stack?: string | undefined;
  /** What the error carries besides: ids, exit codes, output. JSON. */
  data?: Record<string, unknown> | undefined;
  cause?: Failure | undefined;
}

export const Failure: z.ZodType<Failure> = z
  .object({
    name: z.string(),
    code: z.string(),
    message: z.string(),
    stack: z.string().optional(),
    data: z.record(z.string(), z.unknown()).optional(),
    get cause() {
      return Failure.optional();
    },
  })
  .meta({ id: "Failure" });
