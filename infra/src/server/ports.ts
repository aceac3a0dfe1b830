/**
 * A port to try for a server that shall keep it across restarts.
 *
 * It lies below the range from which systems take the ports of outgoing connections (32768 and up on Linux, 49152 and
 * up on macOS and Windows). Else a client that keeps calling a killed server could be given that very port, connect to
 * itself, and keep the server from coming back.
 *
 * @param draw - A number in [0, 1).
 */
export function serverPort(draw: number): number {
  return 20_000 + Math.floor(draw * 10_000);
}
