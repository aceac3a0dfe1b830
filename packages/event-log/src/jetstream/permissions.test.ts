import { describe, expect, it } from "vitest";
import { errorOfDenial, permissionNeeded } from "./permissions.ts";

describe("the permission needed for", () => {
  it.each([
    [
      "an acknowledgement",
      "$JS.ACK.shop_COMMANDS.step-add.1.7.3.1700000000000000000.0",
      "$JS.ACK.shop_COMMANDS.step-add.>",
    ],
    ["one of a partition", "$JS.ACK.shop_EVENTS.inbox-3.1.7.3.1700000000000000000.0", "$JS.ACK.shop_EVENTS.>"],
    [
      "one in a domain",
      "$JS.ACK.hub.ACCHASH.shop_COMMANDS.step-add.1.7.3.1700000000000000000.0",
      "$JS.ACK.hub.ACCHASH.shop_COMMANDS.step-add.>",
    ],
    [
      "a pull of a step",
      "$JS.API.CONSUMER.MSG.NEXT.shop_COMMANDS.step-add",
      "$JS.API.CONSUMER.MSG.NEXT.shop_COMMANDS.step-add",
    ],
    [
      "a pull of a partition",
      "$JS.API.CONSUMER.MSG.NEXT.shop_EVENTS.inbox-3",
      "$JS.API.CONSUMER.MSG.NEXT.shop_EVENTS.>",
    ],
    [
      "a consumer",
      "$JS.API.CONSUMER.CREATE.shop_COMMANDS.step-add.shop.command.add.>",
      "$JS.API.CONSUMER.CREATE.shop_COMMANDS.step-add.>",
    ],
    ["a read", "$JS.API.DIRECT.GET.shop_EVENTS", "$JS.API.DIRECT.GET.shop_EVENTS"],
    [
      "a read of a last message",
      "$JS.API.DIRECT.GET.shop_EVENTS.shop.journal.3.r1",
      "$JS.API.DIRECT.GET.shop_EVENTS.>",
    ],
    [
      "replies of a user with a prefix of its own",
      "_INBOX.shop.shop-web.Q4GRCCN5G7QXWA3LJ2DU6Z.2.*",
      "_INBOX.shop.shop-web.>",
    ],
    ["a purge", "$JS.API.STREAM.PURGE.shop_TIMERS", "$JS.API.STREAM.PURGE.shop_TIMERS"],
    ["an append of a worker", "shop.inbox.3.r1.worker", "shop.inbox.*.*.worker"],
    ["an append that no role makes", "shop.inbox.3.r1", "shop.inbox.>"],
    ["a record", "shop.attempts.3.r1.1", "shop.attempts.>"],
    ["a command", "shop.command.add.3.r1.1", "shop.command.add.>"],
    ["a subscription to cancellations", "shop.cancel.*", "shop.cancel.>"],
    ["presence", "shop.presence", "shop.presence"],
    ["replies", "_INBOX.ABC.1.*", "_INBOX.>"],
    ["replies with a prefix", "_INBOX_worker.ABC.1.*", "_INBOX_worker.>"],
  ])("%s", (_what, subject, needed) => expect(permissionNeeded(subject)).toBe(needed));
});

describe("a denial that no call waits for", () => {
  it.each([
    ["publish", "$JS.ACK.s_COMMANDS.step-a.1.7.3.1.0", /redelivered/],
    ["publish", "$JS.API.CONSUMER.MSG.NEXT.s_COMMANDS.step-a", /No message is received/],
    ["subscribe", "s.cancel.*", /No message is received there/],
    ["publish", "s.presence", /Nothing was sent/],
  ] as const)("says what it means: to %s to %s", (operation, subject, consequence) => {
    const error = errorOfDenial({ operation, subject, needed: permissionNeeded(subject) });
    expect(error.message).toMatch(consequence);
    expect(error.message).toContain(`Allow this user to ${operation} to "${permissionNeeded(subject)}"`);
  });
});
