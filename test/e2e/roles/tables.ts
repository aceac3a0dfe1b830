/**
 * What each role may publish and subscribe to. It is written down here again, and not taken from packages/cli/src/permissions, so that
 * a change there is seen as what it is.
 */
import type { Who } from "./scene.ts";

/** In the order of the columns. */
export const WHO = ["client", "charge", "coordinator", "viewer", "operator"] as const satisfies readonly Who[];

/** `charge` is a worker of the steps charge and hold. */
export const MAY_PUBLISH = `
  subject                                                  client charge coordinator viewer operator
  shop.inbox.0.r.client                                    yes    -      yes         -      yes
  shop.inbox.0.r.worker                                    -      yes    -           -      -
  shop.inbox.0.r.coordinator                               -      -      yes         -      -
  shop.inbox.0.r                                           -      -      -           -      -
  shop.inbox.0.r.client.x                                  -      -      -           -      -
  shop.journal.0.r                                         -      -      yes         -      -
  shop.live.journal.0.r                                    -      -      -           -      -
  shop.attempts.0.r.1                                      -      yes    -           -      -
  shop.parked.0.r                                          -      -      yes         -      -
  shop.command.charge.0.r.1                                -      -      yes         -      -
  shop.timer.0.r.1                                         -      -      yes         -      -
  shop.due.0.r.1                                           -      -      -           -      -
  shop.dead.-.0.r.0                                        -      -      yes         -      -
  shop.dead.charge.0.r.1                                   -      yes    yes         -      -
  shop.dead.refund.0.r.1                                   -      -      yes         -      -
  shop.blob.r.0.1                                          yes    yes    yes         -      yes
  shop.cancel.r                                            -      -      yes         -      -
  shop.presence                                            -      -      yes         -      -
  shop.roll-call                                           yes    -      -           yes    yes
  shop.workers                                             -      yes    -           -      -
  shop.breaker.charge                                      -      yes    -           -      -
  shop.breaker.refund                                      -      -      -           -      -
  shop.query.0.r                                           yes    -      -           -      yes
  shop.guest.c                                             -      -      yes         -      -
  shop.guest-query.c.r                                     -      -      yes         -      -
  _INBOX.shop.shop-batch.x                                 -      -      yes         -      -
  _INBOX.shop_EVENTS.shop_EVENTS-operator.x                -      -      -           -      -
  shop_EVENTS.inbox.0.r.client                             -      -      -           -      -
  shop_EVENTS.journal.0.r                                  -      -      -           -      -
  $JS.ACK.shop_COMMANDS.step-charge.1.1.1.1.0              -      yes    -           -      -
  $JS.ACK.shop_COMMANDS.step-refund.1.1.1.1.0              -      -      -           -      -
  $JS.ACK.shop_EVENTS.inbox-0.1.1.1.1.0                    -      -      yes         -      -
  $JS.ACK.shop_TIMERS.due.1.1.1.1.0                        -      -      yes         -      -
  $JS.ACK.shop_EVENTS.inbox-0.shop_COMMANDS.step-charge.1.1.1  -  -      yes         -      -
  $JS.ACK.shop_EVENTS.inbox-0.shop_COMMANDS.step-charge.1.1.1.1  -  -    -           -      -
  $JS.ACK._.HASH.shop_COMMANDS.step-refund.1.1.1.1.0       -      -      -           -      -
  $JS.FC.shop_EVENTS.inbox-0.x                             -      -      -           -      -
  $JS.API.CONSUMER.CREATE.shop_COMMANDS.step-charge.shop.command.charge.>  -  yes  - -      -
  $JS.API.CONSUMER.CREATE.shop_COMMANDS.step-charge        -      -      -           -      -
  $JS.API.CONSUMER.CREATE.shop_COMMANDS.step-charge.shop.command.refund.>  -  -  -   -      -
  $JS.API.CONSUMER.CREATE.shop_COMMANDS.step-refund.shop.command.refund.>  -  -  -   -      -
  $JS.API.CONSUMER.CREATE.shop_COMMANDS.other.shop.command.charge.>  -  -  -         -      -
  $JS.API.CONSUMER.CREATE.shop_EVENTS                      -      -      -           -      -
  $JS.API.CONSUMER.CREATE.shop_EVENTS.x                    -      -      -           -      -
  $JS.API.CONSUMER.CREATE.shop_EVENTS.x.shop.journal.>     -      -      -           -      -
  $JS.API.CONSUMER.CREATE.shop_EVENTS.x.shop.inbox.0.>     -      -      yes         -      -
  $JS.API.CONSUMER.DURABLE.CREATE.shop_EVENTS.x            -      -      -           -      -
  $JS.API.CONSUMER.MSG.NEXT.shop_COMMANDS.step-refund      -      -      -           -      -
  $JS.API.CONSUMER.DELETE.shop_COMMANDS.step-charge        -      -      -           -      -
  $JS.API.CONSUMER.PAUSE.shop_COMMANDS.step-charge         -      -      -           -      -
  $JS.API.CONSUMER.UNPIN.shop_COMMANDS.step-charge         -      -      -           -      -
  $JS.API.CONSUMER.RESET.shop_COMMANDS.step-charge         -      -      -           -      -
  $JS.API.STREAM.PURGE.shop_EVENTS                         -      -      -           -      -
  $JS.API.STREAM.PURGE.shop_COMMANDS                       -      -      -           -      -
  $JS.API.STREAM.PURGE.shop_TIMERS                         -      -      yes         -      -
  $JS.API.STREAM.MSG.DELETE.shop_EVENTS                    -      -      yes         -      yes
  $JS.API.STREAM.MSG.DELETE.shop_DEAD                      -      -      -           -      yes
  $JS.API.STREAM.CREATE.shop_EVENTS                        -      -      -           -      yes
  $JS.API.STREAM.CREATE.other                              -      -      -           -      -
  $JS.API.STREAM.UPDATE.shop_EVENTS                        -      -      -           -      yes
  $JS.API.STREAM.DELETE.shop_EVENTS                        -      -      -           -      yes
  $JS.API.STREAM.SNAPSHOT.shop_EVENTS                      -      -      -           -      -
  $JS.API.STREAM.RESTORE.shop_EVENTS                       -      -      -           -      -
  $JS.API.STREAM.LEADER.STEPDOWN.shop_EVENTS               -      -      -           -      -
  $JS.API.META.LEADER.STEPDOWN                             -      -      -           -      -
  $JS.API.STREAM.LIST                                      -      -      -           -      -
  $JS.API.STREAM.NAMES                                     -      -      -           -      -
  $JS.API.STREAM.INFO.shop_EVENTS_EVENTS                   -      -      -           -      -
  $JS.API.STREAM.INFO.shop_EVENTS_BLOBS                    -      -      -           -      -
  $JS.API.STREAM.MSG.GET.shop_EVENTS_EVENTS                -      -      -           -      -
  $JS.API.DIRECT.GET.shop_EVENTS_EVENTS                    -      -      -           -      -
  $JS.API.STREAM.DELETE.shop_EVENTS_EVENTS                 -      -      -           -      -
  $JS.API.DIRECT.GET.shop_COMMANDS                         -      -      yes         yes    yes
  $JS.API.STREAM.MSG.GET.shop_DEAD                         -      -      -           yes    yes
  $SYS.REQ.SERVER.PING                                     -      -      -           -      -
  anything                                                 -      -      -           -      -
`;
export const MAY_SUBSCRIBE = `
  subject                                                  client charge coordinator viewer operator
  >                                                        -      -      -           -      -
  shop.>                                                   -      -      -           -      -
  shop.live.journal.>                                      yes    -      -           yes    yes
  shop.presence                                            yes    -      yes         yes    yes
  shop.workers                                             -      -      -           yes    yes
  shop.roll-call                                           -      yes    yes         -      -
  shop.cancel.*                                            -      yes    -           -      -
  shop.query.*.*                                           -      -      yes         -      -
  shop.guest.*                                             -      -      yes         -      -
  shop.guest-query.*.*                                     -      -      yes         -      -
  shop.journal.>                                           -      -      -           -      -
  shop.inbox.>                                             -      -      -           -      -
  shop.attempts.>                                          -      -      -           -      -
  shop.command.>                                           -      -      -           -      -
  shop.blob.>                                              -      -      -           -      -
  shop.breaker.>                                           -      -      -           -      -
  shop_EVENTS.>                                            -      -      -           -      -
  shop_EVENTS.live.journal.>                               -      -      -           -      -
  _INBOX.>                                                 -      -      -           -      -
  _INBOX.shop.>                                            -      -      -           -      -
  _INBOX.shop.*.>                                          -      -      -           -      -
  _INBOX.shop.shop-batch.>                                 -      -      -           -      -
  _INBOX.shop.shop-coordinator.>                           -      -      yes         -      -
  _R_.>                                                    -      -      -           -      -
  $JS.>                                                    -      -      -           -      -
  $JS.API.>                                                -      -      -           -      -
  $JS.ACK.>                                                -      -      -           -      -
  $JS.EVENT.>                                              -      -      -           -      -
  $SYS.>                                                   -      -      -           -      -
`;

/** Rows of a table: the subject, and whether each role may. */
export function rows(table: string): [subject: string, may: boolean[]][] {
  return table
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/ +/))
    .map(([subject, ...cells]) => [subject!, cells.map((cell) => cell === "yes")]);
}
