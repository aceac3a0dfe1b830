/** Whether a permission covers a subject; or, if that has wildcards, all subjects that it stands for. Pure. */
export function covers(permission: string, subject: string): boolean {
  const allowed = permission.split(".");
  const asked = subject.split(".");
  for (const [at, token] of allowed.entries()) {
    if (token === ">") return asked.length > at;
    if (asked[at] === undefined || asked[at] === ">") return false;
    if (token !== "*" && token !== asked[at]) return false;
  }
  return allowed.length === asked.length;
}
