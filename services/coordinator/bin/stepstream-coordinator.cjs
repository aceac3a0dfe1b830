#!/usr/bin/env node
"use strict";
// An old Node.js has to read this file to say that it is too old: so nothing here is newer than import().
var version = process.versions.node.split(".").map(Number);
if (version[0] < 22 || (version[0] === 22 && version[1] < 22)) {
  console.error("stepstream-coordinator needs Node.js 22.22 or newer; this is " + process.versions.node + ".");
  process.exit(2);
}
// The first process of a container gets no signal that it does not handle, and loading the program takes a while: a SIGTERM
// that came meanwhile would be lost, and the platform's patience with it. The program's own listeners take over.
function endUntilLoaded(signal, code) {
  process.on(signal, listener);
  function listener() {
    if (process.listenerCount(signal) === 1) process.exit(code);
  }
}
endUntilLoaded("SIGTERM", 143);
endUntilLoaded("SIGINT", 130);
import("@stepstream/coordinator/main"); // ourselves, by the manifest: sources in a checkout, dist in a package
