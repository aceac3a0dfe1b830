import { eventsOf, type JaegerSpan, type JaegerTrace, parentOf, tag } from "./jaeger-api.ts";

const WIDTH = 1_120;
const NAMES = 380;
const ROW = 22;
const TOP = 64;
const COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d"];

/** Draws a trace as a time line: a row for each span, below its parent; a dot for each event. @returns SVG. */
export function drawTrace(trace: JaegerTrace, note: string): string {
  const rows = inOrder(trace);
  const services = [...new Set(rows.map(({ span }) => serviceOf(trace, span)))];
  const start = Math.min(...trace.spans.map((span) => span.startTime));
  const total = Math.max(...trace.spans.map((span) => span.startTime + span.duration)) - start;
  const x = (microseconds: number) => NAMES + ((microseconds - start) / total) * (WIDTH - NAMES - 90);
  const height = TOP + rows.length * ROW + 34;

  const ticks = Array.from({ length: 5 }, (_, n) => {
    const at = x(start + (total * n) / 4);
    const label = n === 0 ? "0" : ms((total * n) / 4);
    return `<line x1="${at}" x2="${at}" y1="${TOP - 6}" y2="${height - 30}" class="tick"/>
<text x="${at}" y="${TOP - 12}" class="small" text-anchor="middle">${label}</text>`;
  });
  const bars = rows.map(({ span, depth }, n) => {
    const y = TOP + n * ROW;
    const colour = COLOURS[services.indexOf(serviceOf(trace, span)) % COLOURS.length];
    const [from, to] = [x(span.startTime), x(span.startTime + span.duration)];
    const failed = tag(span, "error") === true;
    const events = eventsOf(span).filter((name) => name !== "exception");
    const dots = span.logs
      .filter((log) => log.fields.some((f) => f.key === "event" && f.value !== "exception"))
      .map((log) => `<circle cx="${x(log.timestamp)}" cy="${y + 10}" r="3.2" class="dot"/>`);
    const said = [failed ? String(tag(span, "error.type")) : "", ...events].filter(Boolean).join(", ");
    const label = `${ms(span.duration)}${said && ` · ${said}`}`;
    // Beside the bar, on the side where there is room.
    const left = to > WIDTH * 0.62;
    const beside = left ? `x="${from - 5}" text-anchor="end"` : `x="${to + 6}"`;
    return `<rect x="${12 + depth * 16}" y="${y + 4}" width="4" height="12" fill="${colour}"/>
<text x="${22 + depth * 16}" y="${y + 14}" class="${failed ? "failed" : ""}">${escaped(span.operationName)}</text>
<rect x="${from}" y="${y + 4}" width="${Math.max(2, to - from)}" height="12" rx="2" fill="${colour}"${failed ? ' class="bad"' : ""}/>
${dots.join("")}<text ${beside} y="${y + 14}" class="small">${escaped(label)}</text>`;
  });
  const legend = services.map(
    (name, n) =>
      `<rect x="${12 + n * 190}" y="32" width="10" height="10" fill="${COLOURS[n % COLOURS.length]}"/><text x="${27 + n * 190}" y="41" class="small">${escaped(name)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12">
<title>The trace of a run</title>
<style>text{fill:#222}.small{fill:#666;font-size:11px}.tick{stroke:#ddd}.even{fill:#fff}.odd{fill:#f6f7f9}.failed{fill:#c0392b}.bad{stroke:#c0392b;stroke-width:2}.dot{fill:#222;stroke:#fff}</style>
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text x="12" y="20" font-weight="bold">Trace ${trace.traceID} · ${rows.length} spans · ${ms(total)}</text>
${legend.join("")}
${rows.map((_, n) => `<rect y="${TOP + n * ROW - 1}" width="${WIDTH}" height="${ROW}" class="${n % 2 ? "odd" : "even"}"/>`).join("")}
${ticks.join("\n")}
${bars.join("\n")}
<text x="12" y="${height - 10}" class="small">${escaped(note)}</text>
</svg>
`;
}

/** Parents before their children, children by time. */
function inOrder({ spans }: JaegerTrace): { span: JaegerSpan; depth: number }[] {
  const below = Map.groupBy(
    spans.toSorted((a, b) => a.startTime - b.startTime),
    parentOf,
  );
  const walk = (parent: string | undefined, depth: number): { span: JaegerSpan; depth: number }[] =>
    (below.get(parent) ?? []).flatMap((span) => [{ span, depth }, ...walk(span.spanID, depth + 1)]);
  return walk(undefined, 0);
}

function serviceOf(trace: JaegerTrace, span: JaegerSpan): string {
  return trace.processes[span.processID]!.serviceName;
}

function ms(microseconds: number): string {
  return `${microseconds < 10_000 ? (microseconds / 1_000).toFixed(1) : Math.round(microseconds / 1_000)} ms`;
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
}
