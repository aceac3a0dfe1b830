import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/**/*.test.ts", "services/**/*.test.ts", "infra/**/*.test.ts", "scripts/**/*.test.ts"],
          // What "stepstream create" copies: run by test/cli/create.test.ts where it belongs.
          exclude: ["**/node_modules/**", "**/dist/**", "packages/cli/template/**", "packages/watchdog/**"],
          // Some run linters and compilers, on machines that do other work as well.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "bus",
          // The watchdog's, too: they start processes that block, and wait.
          include: ["test/**/*.test.ts", "examples/**/*.test.ts", "packages/watchdog/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/dist/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Each file has a server and processes of its own, and mostly waits for them: more files than processors. But not
          // in Docker, whose daemon and network all servers share: there a redelivery after 400 ms can come seconds late.
          maxWorkers: process.env.STEPSTREAM_TEST_NATS === "docker" ? 1 : 2 * availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
