import type { Duration } from "@stepstream/contracts";
import type { AnyStep, HandlerOutput, StepErrors } from "@stepstream/sdk";
import type { TestContext, TestHandler } from "../handlers.ts";

type Act = (input: any, context: TestContext<any>) => unknown;

/** Longer than any test. */
const FOR_EVER: Duration = "36500d";

/**
 * What a step does in a test, put together call by call: what it does a number of times comes first, in its order;
 * then what it does always. Every attempt counts, of whatever run.
 *
 * @example env.fake(charge).fails("the bank is down", { times: 2 }).returns({ receipt: "r-1" }).takes("3s");
 */
export class Fake<S extends AnyStep = AnyStep> {
  readonly #first: { act: Act; of: number; times: number }[] = [];
  #always: Act | undefined;
  #takes: Duration = 0;

  /** @param always - Does it where nothing else is said. */
  constructor(always?: TestHandler<S>) {
    this.#always = always as Act | undefined;
  }

  /** Its output. @param options.times - So many attempts. Default: all. */
  returns(output: HandlerOutput<S>, options: { times?: number } = {}): this {
    return this.#do(() => output, options.times);
  }

  /**
   * The attempt throws; whether there is another one is the business of the step's retry policy.
   * @param options.times - So many attempts. Default: all.
   */
  fails(error: Error | string = "it fails, as the test wants it", options: { times?: number } = {}): this {
    return this.#do(() => {
      throw typeof error === "string" ? new Error(error) : error;
    }, options.times);
  }

  /** The step ends with one of its declared errors, for good. @param options.times - So many steps. Default: all. */
  failsWith<K extends keyof StepErrors<S> & string>(
    code: K,
    data: StepErrors<S>[K],
    options: { times?: number } = {},
  ): this {
    return this.#do((_input, context) => context.fail(code, data as never), options.times);
  }

  /** The attempt does not end before it is aborted: by its time-out, or a cancel. Default: all of them. */
  hangs(options: { times?: number } = {}): this {
    return this.#do((_input, context) => context.sleep(FOR_EVER), options.times);
  }

  /** Every attempt takes so long, by virtual time. */
  takes(duration: Duration): this {
    this.#takes = duration;
    return this;
  }

  /** The same, as if nothing had been attempted yet. */
  copy(): Fake<S> {
    const copy = new Fake<S>();
    copy.#first.push(...this.#first.map(({ act, of }) => ({ act, of, times: of })));
    copy.#always = this.#always;
    copy.#takes = this.#takes;
    return copy;
  }

  /** An attempt. @param otherwise - Does it where the fake does not say. */
  async attempt(input: unknown, context: TestContext<any>, otherwise: Act): Promise<unknown> {
    const next = this.#first.find(({ times }) => times > 0);
    if (next) next.times--;
    if (this.#takes !== 0) await context.sleep(this.#takes);
    const act = next?.act ?? this.#always ?? otherwise;
    return act(input as any, context);
  }

  #do(act: Act, times?: number): this {
    if (times === undefined) this.#always = act;
    else if (Number.isInteger(times) && times >= 0) this.#first.push({ act, of: times, times });
    else throw new RangeError(`times is a whole number from 0, not ${times}.`);
    return this;
  }
}
