import type { Source } from "../find.ts";
import { versionOf } from "./binary.ts";

/** A nats-server that is installed. */
export const onPath: Source = {
  name: "PATH",
  async find(machine) {
    return { kind: "binary", path: "nats-server", version: await versionOf(machine, "nats-server"), source: "PATH" };
  },
};
