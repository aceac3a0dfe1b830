export { type Frame, foldersOf, frameAt, frameOf, pathOf, placeOf } from "./frames.ts";
export { whileLoading } from "./loading.ts";
export {
  type Blocked,
  checkStallMs,
  isStopping,
  type Suspect,
  type Watch,
  type WatchOptions,
  watchEventLoop,
} from "./watch.ts";
