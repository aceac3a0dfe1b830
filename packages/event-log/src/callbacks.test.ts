import { expect, it } from "vitest";
import { Callbacks } from "./callbacks.ts";

it("reports what is thrown to every listener, and what a listener of reports throws is a warning of the process", async () => {
  const callbacks = new Callbacks();
  const reports: string[] = [];
  callbacks.onError(() => {
    throw new Error("deaf");
  });
  callbacks.onError((what) => reports.push(what));
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  callbacks.call("a callback", () => {
    throw new Error("boom");
  });
  expect(reports).toEqual(["a callback"]);
  expect(await warned).toMatchObject({
    name: "StepstreamWarning",
    message: expect.stringMatching(/^a callback threw: Error: deaf/),
  });
});
