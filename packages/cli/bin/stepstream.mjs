#!/usr/bin/env node
// Plain JavaScript, because an old Node.js has to read it to say that it is too old.
import module from "node:module";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`stepstream needs Node.js 22.22 or newer; this is ${process.versions.node}.`);
  process.exit(2);
}
// Keeps what is compiled in NODE_COMPILE_CACHE, or else in the system's folder for what is temporary: a command starts with
// a fifth less CPU time then, and from a checkout, where types are stripped too, with half. NODE_DISABLE_COMPILE_CACHE=1
// switches it off.
module.enableCompileCache?.();
await import("@stepstream/cli/main"); // ourselves, by the manifest: sources in a checkout, dist in a package
