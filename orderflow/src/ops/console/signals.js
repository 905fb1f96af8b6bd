// The four golden signals: latency, traffic, errors, saturation.

import { chart } from "./chart.js";
import { $, say, show, traceLink } from "./dom.js";
import { NONE, facts } from "./facts.js";
import { count, duration, few, maybe, percent, rate } from "./format.js";
import { FAILED, cached, exemplar, gauge, values } from "./history.js";

/** How many seconds the large numbers are about. */
const RECENT = 10;
const DURATION = "http_request_duration_seconds";
const status = (first) => ({ status: (value) => value?.[0] === first });

function card(id, lines, format) {
    const place = $(id);
    const part = (name) => place.querySelector(name);
    return { place, value: part(".value"), about: part(".about"), facts: facts(part("dl")), draw: chart(part(".chart"), lines, format) };
}

/** How much of what has a limit is in use. Of one thing, a moment tells nothing: it is all in use, or not at all. */
export function limited(scrape, limits) {
    const uses = [
        ["Requests in flight", gauge(scrape, "http_requests_in_flight"), limits.max_in_flight],
        ["Open connections", gauge(scrape, "active_connections", { listener: "public" }), limits.max_connections],
    ];
    for (const pool of values(scrape, "db_pool_max", "pool")) {
        const busy = gauge(scrape, "db_pool_connections", { pool, state: (state) => state !== "idle" });
        uses.push([`Database connections, ${pool}`, busy, gauge(scrape, "db_pool_max", { pool })]);
    }
    return uses.map(([name, used, most]) => ({ name, used, most: most ?? null, part: used === null || !(most > 1) ? null : used / most }));
}

const level = (value, warn, bad) => (value === null ? "" : value >= bad ? "bad" : value >= warn ? "warn" : "");

export function signals(limits) {
    const latency = card("latency", [{ kind: "p99", label: "p99" }, { kind: "p95", label: "p95" }, { kind: "p50", label: "p50" }], duration);
    const traffic = card("traffic", [{ kind: "main", label: "requests a second" }], rate);
    const errors = card("errors", [{ kind: "main", label: "part that failed" }], percent);
    const saturation = card("saturation", [{ kind: "main", label: "fullest" }], percent);
    const slow = $("slow-trace");

    return (history, made) => {
        const { last } = history;
        const view = history.over(RECENT);
        const asked = view.count("http_requests_total");

        const quantiles = [0.99, 0.95, 0.5].map((q) => view.quantile(q, DURATION));
        const limit = limits.slow_request_ms / 1000;
        const known = quantiles[0] !== null;
        show(latency.value, maybe(quantiles[0], duration), asked === 0 ? "no requests" : "no data");
        say(latency.about, known ? `p99 of ${count(view.count(`${DURATION}_count`))[0]} requests` : "p99");
        latency.place.dataset.level = level(quantiles[0], limit, limit * 2.5);
        const [statement, redis] = ["db_query", "redis_operation"].map((name) => view.quantile(0.99, `${name}_duration_seconds`));
        latency.facts([
            ["p95", maybe(quantiles[1], duration)],
            ["p50", maybe(quantiles[2], duration)],
            ["Statements, p99", maybe(statement, duration)],
            ["Redis, p99", maybe(redis, duration), { unknown: "not asked" }],
        ]);
        const example = exemplar(last, DURATION, {}, last.wall / 1000 - 300);
        if (slow.dataset.trace !== (example?.trace ?? "none")) {
            slow.dataset.trace = example?.trace ?? "none";
            slow.replaceChildren(...(example ? ["A slow one that was traced: ", traceLink(example.trace, `${duration(example.seconds).join(" ")}`)] : []));
        }

        const arriving = view.rate("http_requests_total");
        show(traffic.value, maybe(arriving, rate));
        const kept = cached(view);
        traffic.facts([
            ["Answered from a cache", maybe(kept, percent), { unknown: "nobody asked" }],
            ["Statements", maybe(view.rate("db_queries_total"), rate)],
            ["Notifications sent", maybe(view.rate("jobs_processed_total", { outcome: "sent" }), rate), { unknown: NONE }],
            ["Event streams", maybe(gauge(last, "event_streams"), count)],
        ]);

        const failed = view.count("http_requests_total", status("5"));
        const part = asked ? failed / asked : null;
        show(errors.value, maybe(part, percent), asked === 0 ? "no requests" : "no data");
        say(errors.about, failed ? `${count(failed)[0]} of ${count(asked)[0]} answered 5xx` : "answered 5xx");
        errors.place.dataset.level = level(part, 0.001, 0.01);
        const logged = view.count("log_lines_total", { level: (level) => /error/i.test(level) });
        errors.facts([
            ["4xx answers", maybe(view.rate("http_requests_total", status("4")), rate)],
            ["Clients that left", maybe(view.rate("http_requests_total", { status: "gone" }), rate)],
            ["Refused, at a limit", maybe(view.rate("bulkhead_refusals_total"), rate), { unknown: NONE }],
            ["Statements that failed", maybe(view.rate("db_queries_total", { outcome: FAILED }), rate)],
            ["Errors logged", maybe(logged, count), { unknown: NONE }],
        ]);

        const uses = limited(last, limits);
        const fullest = uses.filter((use) => use.part !== null).sort((a, b) => b.part - a.part)[0] ?? null;
        show(saturation.value, fullest && percent(fullest.part));
        say(saturation.about, fullest ? `of ${fullest.name[0].toLowerCase()}${fullest.name.slice(1)}` : "the fullest of what has a limit");
        saturation.place.dataset.level = level(fullest?.part ?? null, 0.75, 0.95);
        const waited = view.quantile(0.99, "db_pool_wait_seconds");
        const late = view.quantile(0.99, "tokio_scheduling_delay_seconds");
        const queue = gauge(last, "accept_queue");
        saturation.facts([
            ...uses.map(({ name, used, most, part }) => [
                name, used === null ? null : [count(used)[0], most ? `of ${count(most)[0]}` : ""], { part, level: level(part, 0.75, 0.95) },
            ]),
            ["Wait for a connection, p99", maybe(waited, duration), { unknown: "nobody waited", level: level(waited, 0.05, 0.5) }],
            ["Scheduling delay, p99", maybe(late, duration), { level: level(late, 0.05, 0.5) }],
            ...(queue === null ? [] : [["Waiting to be accepted", few(queue), { level: level(queue, 10, 100) }]]),
        ]);

        if (!made) return;
        const now = history.over(0);
        const [all, bad] = [now.count("http_requests_total"), now.count("http_requests_total", status("5"))];
        latency.draw(made.at, [0.99, 0.95, 0.5].map((q) => now.quantile(q, DURATION)));
        traffic.draw(made.at, [now.rate("http_requests_total")]);
        errors.draw(made.at, [all ? bad / all : null]);
        saturation.draw(made.at, [fullest?.part ?? null]);
    };
}
