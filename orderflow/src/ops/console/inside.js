// What is inside: dependencies, pools, caches, queues, the runtime, statements.

import { $, h, say, traceLink } from "./dom.js";
import { NONE, facts, table } from "./facts.js";
import { bytes, clock, count, digits, duration, few, maybe, percent, rate, span } from "./format.js";
import { FAILED, cached, gauge, values } from "./history.js";

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

function cacheRows(view, last) {
    const part = cached(view);
    const quiet = { unknown: NONE };
    return [
        ["Hit ratio", maybe(part, percent), { unknown: "nobody asked", part }],
        ["Hits in memory", maybe(view.rate("cache_hits_total", { level: "memory" }), rate), quiet],
        ["Hits in Redis", maybe(view.rate("cache_hits_total", { level: "redis" }), rate), quiet],
        ["Misses", maybe(view.rate("cache_misses_total"), rate), quiet],
        ["Entries", maybe(gauge(last, "cache_entries"), count)],
        ["Memory", maybe(gauge(last, "cache_bytes"), bytes)],
        ["Operations on Redis", maybe(view.rate("redis_operations_total"), rate), { unknown: NONE }],
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
    const gaveUp = view.count("db_pool_timeouts_total");
    const waited = { unknown: "nobody waited" };
    return [
        ...rows,
        ["Wait, p50", wait(0.5), waited],
        ["Wait, p99", wait(0.99), waited],
        ["Gave up waiting", maybe(gaveUp, count), { unknown: NONE, level: gaveUp ? "bad" : "" }],
        ["Reads by replicas", maybe(view.rate("replica_reads_total", { source: "replica" }), rate), { unknown: NONE }],
        ["Reads sent back to the primary", maybe(view.count("replica_fallbacks_total"), count), { unknown: NONE }],
    ];
}

function queueRows(view, last) {
    const quiet = { unknown: NONE };
    const dead = gauge(last, "jobs_dead");
    const outcomes = values(last, "jobs_processed_total", "outcome");
    const leads = gauge(last, "scheduler_leader");
    return [
        ["Notifications waiting", maybe(gauge(last, "jobs_queued"), count)],
        ["Dead letters", maybe(dead, count), { level: dead ? "bad" : "" }],
        ["From the outbox", maybe(view.rate("outbox_relayed_total"), rate)],
        ...outcomes.map((outcome) => [outcome[0].toUpperCase() + outcome.slice(1), maybe(view.rate("jobs_processed_total", { outcome }), rate)]),
        ["Sending, p99", maybe(view.quantile(0.99, "jobs_duration_seconds"), duration), { unknown: "none sent" }],
        ["Given to the broker", maybe(view.rate("broker_published_total"), rate), quiet],
        ["Scheduler", leads === null ? null : [leads ? "works here" : "works elsewhere or nowhere", ""]],
        ["Retries", maybe(view.count("retries_total"), count), quiet],
        ["Refused by a breaker", maybe(view.count("circuit_refusals_total"), count), quiet],
    ];
}

function runtimeRows(view, last) {
    const workers = gauge(last, "tokio_workers");
    const busy = view.rate("tokio_busy_seconds_total");
    const part = busy === null || !workers ? null : busy / workers;
    const late = (q) => maybe(view.quantile(q, "tokio_scheduling_delay_seconds"), duration);
    const lost = view.count("telemetry_records_total", { outcome: (outcome) => outcome !== "exported" });
    return [
        ["Workers busy", maybe(part, percent), { part }],
        ["Workers", maybe(workers, count)],
        ["Tasks", maybe(gauge(last, "tokio_alive_tasks"), count)],
        ["Tasks that wait for a worker", maybe(gauge(last, "tokio_global_queue_depth"), count)],
        ["Scheduling delay, p50", late(0.5)],
        ["Scheduling delay, p99", late(0.99)],
        ["Traces begun", maybe(view.rate("traces_begun_total"), rate), { unknown: NONE }],
        ["Lost on the way to a collector", maybe(lost, count), { unknown: NONE, level: lost ? "warn" : "" }],
    ];
}

function processRows(view, last) {
    const [open, most] = [gauge(last, "process_open_fds"), gauge(last, "process_max_fds")];
    const began = gauge(last, "process_start_time_seconds");
    const warned = view.count("log_lines_total", { level: (level) => /warn|error/i.test(level) });
    return [
        ["Processor time, of one", maybe(view.rate("process_cpu_seconds_total"), percent)],
        ["Resident memory", maybe(gauge(last, "process_resident_memory_bytes"), bytes)],
        ["Files and sockets", open === null ? null : [count(open)[0], most ? `of ${count(most)[0]}` : ""], { part: open !== null && most ? open / most : null }],
        ["Threads", maybe(gauge(last, "process_threads"), count)],
        ["Running for", began === null ? null : [span(last.wall / 1000 - began), ""]],
        ["Warnings and errors logged", maybe(warned, count), { unknown: NONE, level: warned ? "warn" : "" }],
        ["What this page reads each time", bytes(last.bytes)],
    ];
}

export function inside() {
    const [pools, caches, queues, runtime, process] = ["pools", "caches", "queues", "runtime", "process"].map((id) => facts($(id)));
    const statements = table($("statements"), "Statements by name, in the last minute", [
        { key: "key", label: "Statement" },
        { key: "rate", label: "Rate", format: rate },
        { key: "p50", label: "p50", format: duration },
        { key: "p99", label: "p99", format: duration },
        { key: "failed", label: "Failed", format: few },
    ], ["rate", true], "No statements were counted yet.");
    return (history) => {
        const [view, { last }] = [history.over(RECENT), history];
        pools(poolRows(view, last));
        caches(cacheRows(view, last));
        queues(queueRows(view, last));
        runtime(runtimeRows(view, last));
        process(processRows(view, last));
        statements(values(last, "db_queries_total", "statement").map((statement) => ({
            key: statement, rate: view.rate("db_queries_total", { statement }),
            p50: view.quantile(0.5, "db_query_duration_seconds", { statement }),
            p99: view.quantile(0.99, "db_query_duration_seconds", { statement }),
            failed: view.count("db_queries_total", { statement, outcome: FAILED }),
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
