import type { Source } from "../find.ts";
import { NATS_IMAGE } from "../version.ts";

/** The official image, run with its port published. */
export const docker: Source = {
  name: "Docker",
  async find(machine, announce) {
    await machine.run("docker", ["version", "--format", "{{.Server.Version}}"]);
    try {
      await machine.run("docker", ["image", "inspect", "--format", "{{.Id}}", NATS_IMAGE]);
    } catch {
      announce(`pulling ${NATS_IMAGE}`);
      await machine.run("docker", ["pull", "--quiet", NATS_IMAGE], { timeoutMs: 300_000 });
    }
    return { kind: "docker", image: NATS_IMAGE };
  },
};
