import type { Check } from "../check.ts";
import { account } from "./account.ts";
import { causes } from "./causes.ts";
import { clocks } from "./clocks.ts";
import { consumers } from "./consumers.ts";
import { coordinators } from "./coordinators.ts";
import { deadLetters } from "./dead-letters.ts";
import { denied } from "./denied.ts";
import { durability } from "./durability.ts";
import { health } from "./health.ts";
import { parked } from "./parked.ts";
import { partitions } from "./partitions.ts";
import { permissions } from "./permissions.ts";
import { replicas } from "./replicas.ts";
import { server } from "./server.ts";
import { storage } from "./storage.ts";
import { stranded } from "./stranded.ts";
import { streams } from "./streams.ts";
import { waiting } from "./waiting.ts";
import { workers } from "./workers.ts";

/** In the order in which one would look: the server, what is stored, the processes, the work. */
export const CHECKS: readonly Check[] = [
  ...[server, health, account, permissions, denied],
  ...[streams, replicas, storage, durability],
  ...[clocks, coordinators, partitions, consumers],
  ...[workers, waiting, stranded, causes, parked, deadLetters],
];
