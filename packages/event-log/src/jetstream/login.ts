import { readFileSync } from "node:fs";
import {
  type Auth,
  type Authenticator,
  AuthorizationError,
  type ConnectionOptions,
  UserAuthenticationExpiredError,
} from "@nats-io/transport-node";

const WARN_EVERY_MS = 10_000;

/**
 * Options of nats.js with which a connection does not end because a login was refused.
 *
 * O1. Two refused logins in a row (a password that is being rotated, a token that has expired) do not end it, unless the
 *     caller's options say so: nats.js would close it for good, and throw nothing.
 * O2. Each login asks the authenticator again. One that throws (its file is just being written) logs in with what it
 *     returned the last time: nats.js would close the connection. Only the first login fails with what it throws.
 *
 * Checked elsewhere:
 *   O1  test/e2e/login.test.ts: keeps programs trying, which say so, and go on with their runs at once
 *   O2  test/e2e/login.test.ts: is read again at each login; a file that cannot be read ends nothing
 */
export function lasting(options: ConnectionOptions): ConnectionOptions {
  const { authenticator } = options;
  return {
    ignoreAuthErrorAbort: true,
    ...options,
    ...(authenticator && { authenticator: [authenticator].flat().map(steady) }),
  };
}

function steady(authenticator: Authenticator): Authenticator {
  let last: { auth: Auth } | undefined;
  let warnAt = 0;
  return (nonce) => {
    try {
      const auth = authenticator(nonce);
      last = { auth };
      return auth;
    } catch (error) {
      if (!last) throw error;
      // What was signed for an earlier login is refused, and the next login asks again.
      if (Date.now() >= warnAt) {
        warnAt = Date.now() + WARN_EVERY_MS;
        const text = `The credentials for nats-server cannot be read: ${(error as Error).message}. The login uses those of before.`;
        process.emitWarning(text, { type: "StepstreamWarning" });
      }
      return last.auth;
    }
  };
}

/** For the authenticators of nats.js: the content of a file as it is at each login. */
export function fromFile(path: string): () => Uint8Array {
  return () => readFileSync(path);
}

/** The server does not accept the login: not without other credentials. */
export function isLoginRefused(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

/** Its certificate is not accepted, or the server does not accept ours: not without other certificates. */
export function isCertificateRefused(error: unknown): boolean {
  return error instanceof Error && /certificate|altnames|self[- ]signed/i.test(error.message);
}
