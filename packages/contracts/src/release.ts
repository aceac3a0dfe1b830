/**
 * The version of Stepstream, which processes report. Written out, because a bundled program has no package.json to read.
 *
 * Checked elsewhere: release.test.ts
 */
export const RELEASE = "0.1.0";
