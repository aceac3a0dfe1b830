#!/usr/bin/env node
"use strict";
// An old Node.js has to read this file to say that it is too old: so nothing here is newer than import().
var version = process.versions.node.split(".").map(Number);
if (version[0] < 22 || (version[0] === 22 && version[1] < 22)) {
  console.error("stepstream needs Node.js 22.22 or newer; this is " + process.versions.node + ".");
  process.exit(2);
}
// Keeps what is compiled in NODE_COMPILE_CACHE, or else in the system's folder for what is temporary: a command starts with
// a fifth less CPU time then, and from a checkout, where types are stripped too, with half. NODE_DISABLE_COMPILE_CACHE=1
// switches it off.
require("node:module").enableCompileCache();
import("@stepstream/cli/main"); // ourselves, by the manifest: sources in a checkout, dist in a package
