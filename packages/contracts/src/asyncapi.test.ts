import specs from "@asyncapi/specs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { asyncApi } from "./asyncapi.ts";
import { CHANNELS, OPERATIONS } from "./asyncapi-parts.ts";
import { RULES } from "./asyncapi-rules.ts";
import { EXAMPLES } from "./examples.ts";
import { committed, generate } from "./generate.ts";
import { SCHEMAS } from "./json-schema.ts";
import { Subjects } from "./subjects.ts";

const FILES = generate();
const schemaOf = (name: string) => JSON.parse(FILES.get(`schemas/${name}.json`)!);

describe("the generated documents", () => {
  it("are those in docs: run `node packages/contracts/src/generate.ts` after a change to the schemas", () => {
    const [fresh, kept] = [FILES, committed()];
    expect([...kept.keys()].sort()).toEqual([...fresh.keys()].sort());
    for (const [name, text] of fresh) expect(kept.get(name)?.replaceAll("\r\n", "\n"), name).toBe(text);
  });

  it.each(Object.keys(EXAMPLES))("hold a schema that stands alone and accepts the example: %s", (name) => {
    const validate = new Ajv({ strict: true }).compile(schemaOf(name));
    expect(validate(EXAMPLES[name]), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...EXAMPLES[name], addedIn2031: true })).toBe(true);
    expect(validate({ ...EXAMPLES[name], type: "Nonsense" })).toBe(false);
  });

  it.each(Object.keys(SCHEMAS))("describe %s", (name) => {
    expect(schemaOf(name).description).toMatch(/\w{3}/);
  });
});

describe("docs/asyncapi.yaml", () => {
  const document = parse(FILES.get("asyncapi.yaml")!);

  it("is a valid AsyncAPI 3.0 document", () => {
    const ajv = new Ajv({ strict: false, allErrors: true, logger: false, validateFormats: false });
    const validate = ajv.compile(specs.schemasWithoutId["3.0.0"] as object);
    expect(validate(document), JSON.stringify(validate.errors?.slice(0, 5), null, 2)).toBe(true);
    expect(validate({ ...document, channels: { inbox: { adress: "a typo" } } })).toBe(false);
  });

  it("refers to nothing that is not there", () => {
    for (const [, ref] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = ref!.split("/").reduce((at: any, key) => at?.[key], document);
      expect(target, ref).toBeDefined();
    }
  });

  it("has examples that fit their schemas, headers included", () => {
    const ajv = new Ajv({ strict: false });
    ajv.addSchema({ $id: "doc", components: { schemas: document.components.schemas } });
    for (const [name, message] of Object.entries<any>(document.components.messages)) {
      expect(message.examples.length).toBeGreaterThan(0);
      const payload = ajv.compile({ $ref: `doc#/components/schemas/${name}` });
      for (const example of message.examples) {
        expect(payload(example.payload), `${name}: ${JSON.stringify(payload.errors)}`).toBe(true);
        if (message.headers) expect(ajv.validate(message.headers, example.headers), name).toBe(true);
      }
    }
  });

  it("has a channel for every subject, with the address that the code uses", () => {
    const s = new Subjects("{namespace}", 1);
    const at = (subject: string) => subject.replace(".0.", ".{partition}.");
    const built: Record<string, string> = {
      inbox: s.inboxFrom("{sender}" as any, "{run}"),
      journal: s.journal("{run}"),
      liveJournal: s.liveJournal("{run}"),
      attempts: s.attempts("{run}", "{slot}" as any),
      parked: s.parked("{run}"),
      command: s.command("{step}", "{run}", "{slot}" as any),
      timer: s.timer("{run}", "{slot}" as any),
      due: s.due("{run}", "{slot}" as any),
      dead: s.dead("{step}", "{run}", "{slot}" as any),
      cancel: s.cancel("{run}"),
      presence: s.presence,
      rollCall: s.rollCall,
      workers: s.workers,
      breaker: s.breaker("{step}"),
      query: s.query("{run}"),
      guest: s.guest("{coordinator}"),
      guestQuery: s.guestQuery("{coordinator}", "{run}"),
    };
    const methods = Object.getOwnPropertyNames(Subjects.prototype);
    const others = [
      "constructor",
      "partition",
      "parse",
      "each",
      "inboxFrom",
      "runOfInbox",
      "streamOf",
      "streamName",
      "stepConsumer",
    ];
    expect(Object.keys(built).sort()).toEqual(methods.filter((name) => !others.includes(name)).sort());
    const addresses = Object.fromEntries(Object.entries(CHANNELS).map(([name, { address }]) => [name, address]));
    expect(addresses).toEqual(Object.fromEntries(Object.entries(built).map(([name, subject]) => [name, at(subject)])));
  });

  it("says of every message who sends it and who receives it", () => {
    const moved = (action: string) =>
      new Set(
        Object.values(OPERATIONS)
          .filter((o) => o.action === action)
          .flatMap((o) => o.messages),
      );
    const people = ["DeadLetter", "Presence", "WorkerPresence", "BreakerChanged"];
    const all = Object.values(CHANNELS).flatMap((channel) => channel.messages);
    for (const name of all) {
      expect(moved("send"), name).toContain(name);
      if (!people.includes(name)) expect(moved("receive"), name).toContain(name);
    }
    for (const [name, { channel, messages }] of Object.entries(OPERATIONS))
      for (const message of messages) expect(CHANNELS[channel]!.messages, name).toContain(message);
  });

  it("cites only rules that it states", () => {
    const stated = new Set([...RULES.matchAll(/\*\*([BWC]\d+)\./g)].map((match) => match[1]));
    for (const { description } of Object.values(OPERATIONS))
      for (const [rule] of description.matchAll(/\b[BWC]\d+\b/g)) expect(stated).toContain(rule);
    expect(asyncApi(new Map()).info.description).toBe(RULES);
  });
});
