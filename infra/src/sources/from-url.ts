import type { Source } from "../find.ts";

/** The server that `NATS_URL` names. It is taken at its word: whoever set it knows the server. */
export const fromUrl: Source = {
  name: "NATS_URL",
  async find({ env }) {
    const url = env.NATS_URL;
    if (!url) throw new Error("not set");
    return { kind: "url", url };
  },
};
