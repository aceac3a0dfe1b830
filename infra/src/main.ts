/**
 * Servers for development.
 *
 *   node infra/src/main.ts nats [--port 4222] [--store <folder>] [--sync-always]
 *   node infra/src/main.ts find
 *   node infra/src/main.ts jaeger [--build]
 *   node infra/src/main.ts find-jaeger [--build [--within <seconds>]]
 */
import { parseArgs } from "node:util";
import { findNatsServer, NatsServerNotFoundError } from "./find.ts";
import { findJaeger, JaegerNotFoundError } from "./jaeger/find.ts";
import { startJaeger } from "./jaeger/start.ts";
import { startNatsServer } from "./start.ts";

const HELP = `usage: node infra/src/main.ts <command>

  nats    starts a nats-server with JetStream for development, until Ctrl-C
            --port <n>         default: 4222; 0 takes a free one
            --store <folder>   keeps the streams; default: a temporary folder
            --sync-always      acknowledges nothing before it is on the disk
  find    finds a nats-server of 2.12 or newer, or fetches one, and prints it as JSON
  jaeger  starts a Jaeger for traces: OTLP on 4318, its page on 16686, until Ctrl-C
            --build            builds it with Go where it is not there: some ten minutes
  find-jaeger
          finds a Jaeger 2 and prints it as JSON
            --build            as above
            --within <seconds> how long the compiler may take; default: 1800
`;

const say = (line: string) => console.error(line);

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      port: { type: "string", default: "4222" },
      store: { type: "string" },
      "sync-always": { type: "boolean" },
      build: { type: "boolean", default: false },
      within: { type: "string", default: "1800" },
    },
  });
  if (values.help || positionals.length !== 1) {
    console.log(HELP);
    process.exitCode = values.help ? 0 : 2;
  } else {
    await command(positionals[0]!, values);
  }
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof NatsServerNotFoundError || error instanceof JaegerNotFoundError ? 3 : 1;
}

interface Flags {
  port: string;
  store?: string;
  "sync-always"?: boolean;
  build: boolean;
  within: string;
}

async function command(name: string, values: Flags): Promise<void> {
  switch (name) {
    case "find":
      console.log(JSON.stringify(await findNatsServer({ log: say })));
      return;
    case "nats": {
      const port = Number(values.port);
      if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error("--port takes 0 to 65535.");
      const starting = startNatsServer({
        port,
        ...(values.store ? { storeDir: values.store } : {}),
        syncInterval: values["sync-always"] ? "always" : "2m",
        log: say,
      });
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.once(signal, () => void starting.then((server) => server.stop()).catch(() => {}));
      }
      console.log(`NATS_URL=${(await starting).url}`);
      return;
    }
    case "find-jaeger":
      console.log(
        JSON.stringify(await findJaeger({ build: values.build, buildMs: Number(values.within) * 1_000, log: say })),
      );
      return;
    case "jaeger": {
      const found = await findJaeger({ build: values.build, log: say });
      const starting = startJaeger({ otlpPort: 4318, uiPort: 16_686, found });
      for (const signal of ["SIGINT", "SIGTERM"] as const)
        process.once(signal, () => void starting.then((jaeger) => jaeger.stop()).catch(() => {}));
      const { otlpUrl, uiUrl, hasPage } = await starting;
      console.log(`OTEL_EXPORTER_OTLP_ENDPOINT=${otlpUrl}`);
      say(hasPage ? `its page: ${uiUrl}` : `it has no page, only its API: ${uiUrl}/api/traces/<trace id>`);
      return;
    }
    default:
      throw new Error(`There is no command "${name}": see --help.`);
  }
}
