import { describe, expect, it } from "vitest";
import { type Manifest, packedManifest } from "./manifest.ts";

const versions = { workspace: { "@stepstream/contracts": "0.3.0" }, catalog: { zod: "^4.6.7" } };
const packed = (more: Partial<Manifest>) =>
  packedManifest({ name: "@stepstream/x", version: "0.3.0", ...more }, versions);

describe("a packed manifest", () => {
  it("names what the compiler made of the sources", () => {
    expect(
      packed({
        bin: { "stepstream-x": "./src/main.ts", stepstream: "./bin/stepstream.mjs" },
        exports: { ".": "./src/index.ts", "./deep": "./src/deep/index.ts", "./rules/*": "./rules/*" },
      }),
    ).toEqual({
      name: "@stepstream/x",
      version: "0.3.0",
      bin: { "stepstream-x": "./dist/main.js", stepstream: "./bin/stepstream.mjs" },
      exports: {
        ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
        "./deep": { types: "./dist/deep/index.d.ts", default: "./dist/deep/index.js" },
        "./rules/*": "./rules/*",
      },
    });
  });

  it("names versions where the workspace has its own words for them", () => {
    const dependencies = { "@stepstream/contracts": "workspace:*", zod: "catalog:", croner: "^11.0.1" };
    expect(packed({ dependencies })).toMatchObject({
      dependencies: { "@stepstream/contracts": "0.3.0", zod: "^4.6.7", croner: "^11.0.1" },
    });
    expect(packed({ peerDependencies: { zod: "catalog:" } })).toMatchObject({ peerDependencies: { zod: "^4.6.7" } });
  });

  it("leaves out what is for the workspace alone", () => {
    const manifest = packed({ devDependencies: { vitest: "^5.0.0" }, scripts: { generate: "node src/generate.ts" } });
    expect(Object.keys(manifest)).toEqual(["name", "version"]);
  });

  it.each([
    ["a package that is not packed", { "@stepstream/test": "workspace:*" }],
    ["nothing in the catalog", { nothing: "catalog:" }],
    ["a form of workspace: that is not known", { "@stepstream/contracts": "workspace:^" }],
  ])("is refused where it depends on %s", (_, dependencies) => {
    expect(() => packed({ dependencies })).toThrow(/^@stepstream\/x depends on/);
  });
});
