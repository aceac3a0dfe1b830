/** NATS' wildcards: `*` is one token, `>` at the end is one or more. What it returns is called for every message. */
export function matcher(filter: string): (subject: string) => boolean {
  if (!filter.includes("*")) {
    if (!filter.endsWith(">")) return (subject) => subject === filter;
    const prefix = filter.slice(0, -1);
    return (subject) => subject.length > prefix.length && subject.startsWith(prefix);
  }
  const wanted = filter.split(".");
  return (subject) => {
    const tokens = subject.split(".");
    for (let i = 0; i < wanted.length; i++) {
      if (wanted[i] === ">") return tokens.length > i;
      if (tokens[i] === undefined || (wanted[i] !== "*" && wanted[i] !== tokens[i])) return false;
    }
    return tokens.length === wanted.length;
  };
}
