// Requests by route, in the last minute.

import { $, traceLink } from "./dom.js";
import { table } from "./facts.js";
import { duration, few, percent, rate } from "./format.js";
import { exemplar, values } from "./history.js";

const DURATION = "http_request_duration_seconds";

export function routes() {
    const update = table($("routes"), "Requests by method and route, in the last minute", [
        { key: "name", label: "Route" },
        { key: "rate", label: "Rate", format: rate },
        { key: "p50", label: "p50", format: duration },
        { key: "p99", label: "p99", format: duration },
        { key: "errors", label: "5xx", format: percent },
        { key: "statements", label: "Statements", format: few },
        { key: "slowest", label: "Slow trace", link: ({ trace, slowest }) => [
            trace ?? "", () => (trace ? traceLink(trace, duration(slowest).join(" ")) : ""),
        ] },
    ], ["rate", true], "No requests were counted yet.");

    return (history) => {
        const view = history.over(60);
        const since = history.last.wall / 1000 - 300;
        const rows = [];
        for (const route of values(history.last, "http_requests_total", "route")) {
            // Statements are counted by route only; they are the same for each method of it.
            const statements = view.mean("http_request_statements", { route });
            for (const method of values(history.last, "http_requests_total", "method")) {
                const where = { method, route };
                if (!history.last.samples.get("http_requests_total").some(({ series: { labels } }) => labels.route === route && labels.method === method)) continue;
                const asked = view.count("http_requests_total", where);
                const failed = view.count("http_requests_total", { ...where, status: (status) => status?.[0] === "5" });
                const slow = exemplar(history.last, DURATION, where, since);
                rows.push({
                    key: `${method} ${route}`, name: `${method} ${route}`, rate: view.rate("http_requests_total", where),
                    p50: view.quantile(0.5, DURATION, where), p99: view.quantile(0.99, DURATION, where),
                    errors: asked ? failed / asked : null, statements,
                    trace: slow?.trace ?? null, slowest: slow?.seconds ?? null,
                });
            }
        }
        update(rows);
    };
}
