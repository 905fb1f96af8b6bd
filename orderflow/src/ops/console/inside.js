// What is inside: dependencies, pools, caches, queues, the runtime, statements.

import { $, facts, h, say, table, traceLink } from "./dom.js";
import { bytes, clock, count, digits, duration, few, maybe, percent, rate, span } from "./format.js";
import { gauge, values } from "./history.js";

const RECENT = 60;

/** How each dependency is doing, from the report of /healthz. */
export function dependencies() {
    const update = facts($("dependencies"));
    return (report) => {
        const rows = [];
        const row = (name, check, detail) => {
            const took = check.latency_ms === undefined ? "" : `, ${duration(check.latency_ms / 1000).join(" ")}`;
            const word = check.ok ? "ok" : check.critical ? "does not answer" : "away; the service goes on";
            rows.push([name, [detail ?? word + took, ""], { level: check.ok ? "good" : check.critical ? "bad" : "warn" }]);
        };
        if (report.database) row(`Database, ${report.database.kind}`, report.database);
        (report.replicas ?? []).forEach((replica, at) => {
            const lag = replica.lag_ms === null ? "lag unknown" : `${duration(replica.lag_ms / 1000).join(" ")} behind`;
            row(`Replica ${at + 1}`, replica, `${replica.state}, ${lag}`);
        });
        if (report.redis) row("Redis", report.redis);
        if (report.broker) row("Broker", report.broker);
        update(rows);
    };
}

/** The part of looks into a cache that found something, by level; `misses` are looks that no level could answer. */
function cacheRows(view, last) {
    const [memory, redis] = ["memory", "redis"].map((level) => view.count("cache_hits_total", { level }));
    const misses = view.count("cache_misses_total");
    const looks = memory === null || misses === null ? null : memory + redis + misses;
    const [entries, size] = [gauge(last, "cache_entries"), gauge(last, "cache_bytes")];
    return [
        ["Hit ratio", looks ? percent((memory + redis) / looks) : null, { unknown: looks === 0 ? "nobody asked" : "no data", part: looks ? (memory + redis) / looks : null }],
        ["Hits in memory", maybe(view.rate("cache_hits_total", { level: "memory" }), rate)],
        ["Hits in Redis", maybe(view.rate("cache_hits_total", { level: "redis" }), rate)],
        ["Misses", maybe(view.rate("cache_misses_total"), rate)],
        ["Entries", maybe(entries, count)],
        ["Memory", maybe(size, bytes)],
    ];
}

function poolRows(view, last) {
    const rows = [];
    for (const pool of values(last, "db_pool_max", "pool")) {
        const most = gauge(last, "db_pool_max", { pool });
        const states = values(last, "db_pool_connections", "state").filter((state) => state !== "open");
        const told = states.map((state) => `${digits(gauge(last, "db_pool_connections", { pool, state }) ?? 0)} ${state}`);
        const busy = gauge(last, "db_pool_connections", { pool, state: (state) => state !== "idle" && state !== "open" });
        rows.push([pool, [`${told.join(", ")} of ${digits(most)}`, ""], { part: busy === null ? null : busy / most }]);
    }
    const wait = (q) => maybe(view.quantile(q, "db_pool_wait_seconds"), duration);
    const quiet = { unknown: "none yet" };
    return [
        ...rows,
        ["Wait, p50", wait(0.5), { unknown: "nobody waited" }],
        ["Wait, p99", wait(0.99), { unknown: "nobody waited" }],
        ["Gave up waiting", maybe(view.count("db_pool_timeouts_total"), count), { ...quiet, level: view.count("db_pool_timeouts_total") ? "bad" : "" }],
        ["Reads by replicas", maybe(view.rate("replica_reads_total", { source: "replica" }), rate), quiet],
        ["Reads sent back to the primary", maybe(view.count("replica_fallbacks_total"), count), quiet],
    ];
}

function queueRows(view, last) {
    const quiet = { unknown: "none yet" };
    const dead = gauge(last, "jobs_dead");
    const outcomes = values(last, "jobs_processed_total", "outcome");
    const leads = gauge(last, "scheduler_leader");
    return [
        ["Notifications waiting", maybe(gauge(last, "jobs_queued"), count)],
        ["Dead letters", maybe(dead, count), { level: dead ? "bad" : "" }],
        ["From the outbox", maybe(view.rate("outbox_relayed_total"), rate)],
        ...outcomes.map((outcome) => [outcome[0].toUpperCase() + outcome.slice(1), maybe(view.rate("jobs_processed_total", { outcome }), rate)]),
        ["Sending, p99", maybe(view.quantile(0.99, "jobs_duration_seconds"), duration), { unknown: "nothing sent" }],
        ["Given to the broker", maybe(view.rate("broker_published_total"), rate), quiet],
        ["Scheduler", leads === null ? null : [leads ? "works here" : "works elsewhere or nowhere", ""]],
        ["Retries", maybe(view.count("retries_total"), count), quiet],
        ["Refused by a breaker", maybe(view.count("circuit_refusals_total"), count), quiet],
    ];
}

function runtimeRows(view, last, scraped) {
    const workers = gauge(last, "tokio_workers");
    const [busy, cpu] = [view.rate("tokio_busy_seconds_total"), view.rate("process_cpu_seconds_total")];
    const [open, most] = [gauge(last, "process_open_fds"), gauge(last, "process_max_fds")];
    const began = gauge(last, "process_start_time_seconds");
    const warned = view.count("log_lines_total", { level: (level) => /^(warn|error)$/i.test(level) });
    const lost = view.count("telemetry_records_total", { outcome: (outcome) => outcome !== "exported" });
    return [
        ["Workers busy", busy === null || !workers ? null : percent(busy / workers), { part: busy === null || !workers ? null : busy / workers }],
        ["Workers", maybe(workers, count)],
        ["Tasks", maybe(gauge(last, "tokio_alive_tasks"), count)],
        ["Tasks that wait for a worker", maybe(gauge(last, "tokio_global_queue_depth"), count)],
        ["Processor time", maybe(cpu, percent)],
        ["Resident memory", maybe(gauge(last, "process_resident_memory_bytes"), bytes)],
        ["Allocated", maybe(gauge(last, "allocator_allocated_bytes"), bytes)],
        ["Files and sockets", open === null ? null : [count(open)[0], most ? `of ${count(most)[0]}` : ""], { part: most ? open / most : null }],
        ["Threads", maybe(gauge(last, "process_threads"), count)],
        ["Running for", began === null ? null : [span(last.wall / 1000 - began), ""]],
        ["Warnings and errors logged", maybe(warned, count), { unknown: "none yet", level: warned ? "warn" : "" }],
        ["Traces begun", maybe(view.rate("traces_begun_total"), rate), { unknown: "none yet" }],
        ["Lost on the way to a collector", maybe(lost, count), { unknown: "none yet", level: lost ? "warn" : "" }],
        ["This page's last scrape", [`${duration(scraped.seconds).join(" ")}, ${bytes(scraped.bytes).join(" ")}`, ""]],
    ];
}

/** The label of a family of statements that has their names, whatever it is called. */
const naming = (labels) => Object.keys(labels).find((name) => name !== "outcome" && name !== "le");

export function inside() {
    const [pools, caches, queues, runtime] = ["pools", "caches", "queues", "runtime"].map((id) => facts($(id)));
    const statements = table($("statements"), "Statements by name, in the last minute", [
        { key: "key", label: "Statement" },
        { key: "rate", label: "Rate", format: rate },
        { key: "p50", label: "p50", format: duration },
        { key: "p99", label: "p99", format: duration },
        { key: "failed", label: "Failed", format: few },
    ], ["rate", true], "No statements were counted yet.");
    return (history, scraped) => {
        const [view, { last }] = [history.over(RECENT), history];
        pools(poolRows(view, last));
        caches(cacheRows(view, last));
        queues(queueRows(view, last));
        runtime(runtimeRows(view, last, scraped));
        const label = naming(last.samples.get("db_queries_total")?.[0].series.labels ?? {});
        statements(values(last, "db_queries_total", label).map((key) => ({
            key, rate: view.rate("db_queries_total", { [label]: key }),
            p50: view.quantile(0.5, "db_query_duration_seconds", { [label]: key }),
            p99: view.quantile(0.99, "db_query_duration_seconds", { [label]: key }),
            failed: view.count("db_queries_total", { [label]: key, outcome: (outcome) => outcome !== "ok" }),
        })));
    };
}

/** Statements that took long, the newest first. */
export function slowStatements(limit) {
    const list = $("slow-statements");
    let shown = null;
    return (slow) => {
        const now = JSON.stringify(slow);
        if (now === shown) return;
        shown = now;
        list.replaceChildren(...slow.map(({ at, statement, duration_ms: took, trace_id: trace }) => {
            const when = new Date(at);
            return h("li", {}, h("time", { datetime: at, title: at }, clock(when)), h("b", {}, duration(took / 1000).join(" ")),
                h("span", {}, statement), trace ? traceLink(trace, "trace") : null);
        }));
        say($("no-slow-statements"), slow.length ? "" : `None over ${duration(limit / 1000).join(" ")} since the service started.`);
    };
}
