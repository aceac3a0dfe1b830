import { describe, expect, it } from "vitest";
import { packageManager } from "./install.ts";
import { packageName } from "./project.ts";

describe("a project's name", () => {
  it.each([
    ["shop", "shop"],
    ["My Shop", "my-shop"],
    [".hidden_", "hidden_"],
    ["a  b!", "a-b"],
    ["日本", "stepstream-project"],
  ])("%j becomes %j", (folder, name) => expect(packageName(folder)).toBe(name));
});

describe("the package manager", () => {
  it.each([
    ["pnpm/10.34.8 npm/? node/v24.21.0 linux x64", "pnpm"],
    ["npm/11.19.1 node/v24.21.0 linux x64 workspaces/false", "npm"],
    ["bun/1.3.0 npm/? node/v24.3.0 linux x64", "bun"],
    ["cnpm/9.0.0", "npm"],
    [undefined, "npm"],
  ])("of %j is %s", (agent, manager) => expect(packageManager(agent)).toBe(manager));
});
