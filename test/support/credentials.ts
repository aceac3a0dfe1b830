/** Keys, tokens and certificates that are made for one test, and are worth nothing after it. */
import {
  Algorithms,
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
} from "@nats-io/jwt";
import { generate } from "selfsigned";

const utf8 = new TextDecoder();

/** A pair of keys as `nk -gen user` prints it. */
export function userKey(): { seed: string; publicKey: string } {
  const pair = createUser();
  return { seed: utf8.decode(pair.getSeed()), publicKey: pair.getPublicKey() };
}

/** An operator with one account that may use JetStream, and one user in it. */
export async function operator() {
  const [root, system, account, user] = [createOperator(), createAccount(), createAccount(), createUser()];
  const v2 = { algorithm: Algorithms.v2 };
  const unlimited = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const limits = {
    ...unlimited,
    conn: -1,
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    leaf: -1,
    wildcards: true,
  };
  const accountJwt = await encodeAccount("A", account, { limits }, { ...v2, signer: root });
  const systemJwt = await encodeAccount("SYS", system, {}, { ...v2, signer: root });
  const jwt = await encodeUser("u", user, account, {}, v2);
  return {
    /** Of the server: it trusts the operator and knows the accounts. JetStream needs one of the system's. */
    config: `
      operator: ${await encodeOperator("O", root, {}, v2)}
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: { ${system.getPublicKey()}: ${systemJwt}, ${account.getPublicKey()}: ${accountJwt} }`,
    jwt,
    seed: utf8.decode(user.getSeed()),
    /** The file that `nsc generate creds` writes. */
    creds: utf8.decode(fmtCreds(jwt, user)),
  };
}

/** PEM files of a certificate authority, and of a server on 127.0.0.1 and a client that it vouches for. */
export async function certificates() {
  const ec = { keyType: "ec", algorithm: "sha256" } as const;
  const ca = await generate([{ name: "commonName", value: "Test CA" }], {
    ...ec,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const issued = (name: string) =>
    generate([{ name: "commonName", value: name }], {
      ...ec,
      ca: { key: ca.private, cert: ca.cert },
      extensions: [
        { name: "extKeyUsage", serverAuth: true, clientAuth: true },
        { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] },
      ],
    });
  const [server, client] = await Promise.all([issued("server"), issued("client")]);
  return {
    "ca.pem": ca.cert,
    "server.pem": server.cert,
    "server-key.pem": server.private,
    "client.pem": client.cert,
    "client-key.pem": client.private,
  };
}
