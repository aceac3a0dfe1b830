#!/usr/bin/env node
"use strict";
// An old Node.js has to read this file to say that it is too old: so nothing here is newer than import().
var version = process.versions.node.split(".").map(Number);
if (version[0] < 22 || (version[0] === 22 && version[1] < 22)) {
  console.error("stepstream-coordinator needs Node.js 22.22 or newer; this is " + process.versions.node + ".");
  process.exit(2);
}
import("@stepstream/coordinator/main"); // ourselves, by the manifest: sources in a checkout, dist in a package
