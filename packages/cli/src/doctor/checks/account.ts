import { check, error, type Finding, FULL, mib, ok, percent } from "../check.ts";

interface Facts {
  storage: number;
  /** 0 or less: no limit. */
  maxStorage: number;
  consumers: number;
  maxConsumers: number;
  streams: number;
  maxStreams: number;
}

/** What the account may still store and create. */
export const account = check<Facts>({
  name: "account",

  async look({ jsm }) {
    const { limits, storage, consumers, streams } = await jsm.getAccountInfo();
    const { max_storage, max_consumers, max_streams } = limits;
    return {
      ...{ storage, maxStorage: max_storage },
      ...{ consumers, maxConsumers: max_consumers },
      ...{ streams, maxStreams: max_streams },
    };
  },

  judge({ storage, maxStorage, consumers, maxConsumers, streams, maxStreams }) {
    const findings: Finding[] = [];
    if (maxStorage > 0 && storage >= FULL * maxStorage)
      findings.push(
        error(
          "account",
          `${percent(storage / maxStorage)} of the ${mib(maxStorage)} that it may store`,
          "Raise max_file of the account, or delete runs that are over: when it is full, new runs and results are refused.",
        ),
      );
    if (maxConsumers > 0 && consumers >= maxConsumers)
      findings.push(
        error(
          "account",
          `it has all of the ${maxConsumers} consumers that it may have`,
          "Raise max_consumers of the account. A namespace needs one for each partition and each step, and one for timers; " +
            "a partition or step without one stands still.",
        ),
      );
    if (maxStreams > 0 && streams > maxStreams)
      findings.push(error("account", `${streams} streams, and ${maxStreams} are allowed`, "Raise max_streams."));
    const limit = maxStorage > 0 ? ` of ${mib(maxStorage)}` : "";
    return findings.length > 0 ? findings : [ok("account", `${mib(storage)} stored${limit}, ${consumers} consumers`)];
  },
});
