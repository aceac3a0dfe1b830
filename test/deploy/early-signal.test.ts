/**
 * A signal that comes before a program is loaded ends it all the same. The first process of a container gets no signal that
 * it does not handle: so each program handles them from its first line, before it loads anything.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { ROOT } from "./settings.ts";

const PROGRAMS = {
  "services/coordinator/bin/stepstream-coordinator.cjs": "examples/containers/workflows.ts",
  "services/step-worker/bin/stepstream-worker.cjs": "examples/containers/handlers.ts",
};

describe.skipIf(process.platform === "win32").each(Object.entries(PROGRAMS))("%s", (bin, module) => {
  it.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ])("ends with its own code if %s comes before it is loaded", async (signal, code) => {
    // What it imports comes later than this line. Without a listener the signal itself would end the process.
    const script = `require(${JSON.stringify(ROOT + bin)}); process.kill(process.pid, "${signal}")`;
    // There is no server: if the signal were lost, it would wait for one for ever.
    const args = ["-e", script, "--", "--nats", "nats://127.0.0.1:1", "--quiet", ROOT + module];
    const child = spawn(process.execPath, args, { stdio: "inherit" });
    expect(await once(child, "exit")).toEqual([code, null]);
  });
});
