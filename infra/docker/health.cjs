"use strict";
/**
 * The HEALTHCHECK of the image: ends with 0 if the program in this container answers, else with 1 and the reason.
 *
 *   node health.cjs            /healthz: its event loop answers
 *   node health.cjs /readyz    it can take work
 *
 * The port is that of STEPSTREAM_HEALTH_PORT, else STEPSTREAM_METRICS_PORT. (Options of the program cannot be seen from here.)
 */
const { get } = require("node:http");

const { STEPSTREAM_HEALTH_PORT, STEPSTREAM_METRICS_PORT, OTEL_EXPORTER_PROMETHEUS_HOST } = process.env;
const port = STEPSTREAM_HEALTH_PORT || STEPSTREAM_METRICS_PORT;
const path = process.argv[2] || "/healthz";

/** @param {string} why */
function fail(why) {
  console.error(why);
  process.exit(1);
}

if (!port) fail("Neither STEPSTREAM_HEALTH_PORT nor STEPSTREAM_METRICS_PORT is set.");
get({ host: OTEL_EXPORTER_PROMETHEUS_HOST || "127.0.0.1", port, path, timeout: 4_000 }, (response) => {
  let body = "";
  response.setEncoding("utf8");
  response.on("data", (text) => {
    body += text;
  });
  response.on("end", () => {
    if (response.statusCode !== 200) fail(`${path}: ${response.statusCode} ${body.trim()}`);
    console.log(body.trim());
    process.exit(0);
  });
})
  .on("timeout", () => fail(`${path}: no answer in 4 s`))
  .on("error", (error) => fail(`${path}: ${error.message}`));
