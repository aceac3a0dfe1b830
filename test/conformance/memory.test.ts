import { type MemoryLog, MemoryServer } from "@stepstream/event-log/memory";
import { conformance } from "./suite.ts";

conformance("the memory log", async () => {
  const server = new MemoryServer();
  return {
    connect: async () => server.connect("process"),
    cut: async (log) => (log as MemoryLog).cut(20),
    restartServer: async () => server.restart({ downMs: 20 }),
    close: async () => {},
  };
});
