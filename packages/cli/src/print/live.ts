import { createLogUpdate } from "log-update";
import type { Io } from "../io.ts";

/** Something that changes while one looks at it. */
export interface Live {
  /** Shows this instead of what was there. */
  draw(text: string): void;
  /** Leaves what was drawn last where it is. */
  done(): void;
}

/** On a terminal it is drawn in place; elsewhere each text is written below the last. */
export function live(io: Io): Live {
  if (!io.out.isTTY) return { draw: (text) => void io.out.write(`${text}\n`), done() {} };
  const update = createLogUpdate(io.out as unknown as NodeJS.WriteStream);
  return { draw: (text) => update(text), done: () => update.done() };
}
