#!/usr/bin/env node
// Plain JavaScript, because an old Node.js has to read it to say that it is too old.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`stepstream needs Node.js 22.22 or newer; this is ${process.versions.node}.`);
  process.exit(2);
}
await import("@stepstream/cli/main"); // ourselves, by the manifest: sources in a checkout, dist in a package
