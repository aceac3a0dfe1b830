import { expect, it } from "vitest";
import { gateHandler } from "./gate.ts";

it.runIf(process.platform !== "win32")("keeps the last 64 KiB of what was printed", async () => {
  const print = (stream: string) =>
    `for (let i = 0; i < 20000; i++) process.${stream}.write(\`\${i}: twenty-two characters\\n\`)`;
  const command = `${process.execPath} -e '${print("stdout")};${print("stderr")}'`;
  const context = { signal: new AbortController().signal } as Parameters<ReturnType<typeof gateHandler>>[1];
  const printed = await gateHandler()({ gate: "g", level: 1, command, timeoutMs: 20_000 }, context);
  for (const text of [printed.stdout, printed.stderr]) {
    expect(text).toHaveLength(64 * 1024);
    expect(text).toMatch(/\n19999: twenty-two characters\n$/);
  }
});
