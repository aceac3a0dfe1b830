/** Sets the clock of its process wrong by `SHIFT_MS`, from the start; and by `JUMP_MS` more when it gets SIGUSR2. */

let shiftMs = Number(process.env.SHIFT_MS ?? 0);
const RealDate = Date;
const realNow = Date.now.bind(Date);
const now = () => realNow() + shiftMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, as) => Reflect.construct(target, args.length === 0 ? [now()] : args, as),
  get: (target, key, as) => (key === "now" ? now : Reflect.get(target, key, as)),
});
// Read once, when a process begins.
Object.defineProperty(performance, "timeOrigin", { value: performance.timeOrigin + shiftMs });
process.on("SIGUSR2", () => {
  shiftMs += Number(process.env.JUMP_MS ?? 0);
  console.log("the clock was set");
});
