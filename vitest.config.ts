import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Docker's daemon and network are shared by all servers: there a redelivery after 400 ms can come seconds late. */
const inDocker = process.env.STEPSTREAM_TEST_NATS === "docker";
/** Each file has a server and processes of its own, and mostly waits for them: more files than processors. */
const maxWorkers = 2 * availableParallelism();
/** What is waited for comes in milliseconds, on a machine that does nothing else. */
const expect = { poll: { timeout: 20_000 } };

const ON_SERVERS = {
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect,
  maxWorkers: inDocker ? 1 : maxWorkers,
  // Together with the others, in whose waiting they work, if as many may run.
  sequence: { groupOrder: inDocker ? 1 : 0 },
};

/** What takes long, by what it took, but those that block a processor on purpose not beside each other. */
const LONG = [
  "test/deploy/image.docker",
  "test/e2e/loops",
  "test/e2e/schedules",
  "test/e2e/coordinator",
  "test/e2e/bus-input",
  "packages/watchdog/src/watch",
  "test/docs/tutorial",
  "test/e2e/containment",
  "examples/deploying/deploying",
  "test/conformance/jetstream",
  "test/containment/turn",
  "examples/practices/practices",
  "test/cli/create",
  "test/fuzz/programs",
  "test/cli/dev",
  "examples/constructs/constructs",
  "test/e2e/stranded",
  "test/e2e/telemetry",
  "packages/testing/src/environment/loops",
  "packages/sdk/src/tell-run",
];

/**
 * Faults in real time: servers that go away for many seconds, elections, shutdowns, deaths of processes, thousands of runs. A stage
 * of its own in CI; `npm test` alone leaves them out, to be done in a few minutes.
 */
const SLOW = [
  "test/cli/doctor/{cluster,full,processes}.test.ts",
  "test/e2e/{auditor,bulk,crash,denied,elections,given-connection,heals,health,keep-alive,kills,leases,login}.test.ts",
  "test/e2e/{lost-streams,lost-timers,outage,remade,scale,shutdown,start-order}.test.ts",
];

/** Begins with what takes long, also where nothing has run before, so that no processor is idle at the end. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((file) => moduleId.endsWith(`/${file}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/**/*.test.ts", "services/**/*.test.ts", "infra/**/*.test.ts", "scripts/**/*.test.ts"],
          // What "stepstream create" copies: run by test/cli/create.test.ts where it belongs.
          exclude: ["**/node_modules/**", "**/dist/**", "packages/cli/template/**", "packages/watchdog/**"],
          // Some run linters and compilers, on machines that do other work as well.
          testTimeout: 30_000,
          expect,
          maxWorkers,
        },
      },
      {
        test: {
          name: "bus",
          // The watchdog's, too: they start processes that block, and wait.
          include: ["test/**/*.test.ts", "examples/**/*.test.ts", "packages/watchdog/**/*.test.ts"],
          exclude: ["**/node_modules/**", "**/dist/**", ...SLOW],
          ...ON_SERVERS,
        },
      },
      { test: { name: "slow", include: SLOW, exclude: ["**/node_modules/**"], ...ON_SERVERS } },
    ],
  },
});
