/**
 * What the command of a gate gets of its worker's environment: what programs need to find themselves, their user and their
 * language. The rest of a worker's environment is the worker's: credentials of the bus, of its handlers, of the platform.
 */
const PASSED = new Set([
  ...["PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TZ", "LANG", "LANGUAGE", "TERM", "CI", "NO_COLOR"],
  // Windows, where names have any case.
  ...["SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERNAME", "USERPROFILE"],
  ...["APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "NUMBER_OF_PROCESSORS"],
]);

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * @param own - The worker's environment.
 * @param names - Variables of it that are passed besides.
 * @param added - Set on top, the last one first.
 */
export function environmentOf(
  own: Variables,
  names: readonly string[],
  ...added: (Variables | undefined)[]
): Variables {
  const named = new Set(names);
  const passed = Object.entries(own).filter(([name]) => {
    const upper = name.toUpperCase();
    return PASSED.has(upper) || upper.startsWith("LC_") || named.has(name);
  });
  return Object.assign(Object.fromEntries(passed), ...added);
}
