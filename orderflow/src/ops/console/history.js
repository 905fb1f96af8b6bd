// Arithmetic on scrapes: what was counted between two of them, quantiles of histograms, and what happened lately.

/** Values of a name that only grow while a process lives. */
const GROWS = /_(total|bucket|count|sum)$/;

const one = (scrape, name) => scrape.samples.get(name)?.[0]?.value ?? null;

/**
 * What was counted from one scrape to the next, by name and series, and how many seconds that took. One process answers, so if
 * one counter has fallen it has started anew, and every counter began at 0; so it has if it says that it started later.
 */
export function step(before, after) {
    const [was, is] = [before, after].map((scrape) => one(scrape, "process_start_time_seconds"));
    const old = new Map();
    for (const [name, samples] of before.samples) {
        if (GROWS.test(name)) for (const { series, value } of samples) old.set(series.head, value);
    }
    const grown = [...after.samples].filter(([name]) => GROWS.test(name));
    const fell = grown.some(([name, samples]) =>
        !name.endsWith("_sum") && samples.some(({ series, value }) => value < (old.get(series.head) ?? 0)));
    const restarted = fell || (was !== null && is !== null && is > was + 1);
    const counted = new Map();
    for (const [name, samples] of grown) {
        const more = [];
        for (const { series, value } of samples) {
            const increase = value - (restarted ? 0 : (old.get(series.head) ?? 0));
            if (increase) more.push({ series, increase });
        }
        if (more.length) counted.set(name, more);
    }
    const seconds = Math.max((after.at - before.at) / 1000, 0.001);
    const alive = restarted && is !== null ? after.wall / 1000 - is : seconds;
    return { at: after.at, seconds: alive > 0.1 ? Math.min(alive, seconds) : seconds, restarted, counted };
}

/**
 * The quantile of a histogram as Prometheus reckons it: linear within a bucket. `buckets` are pairs of an upper bound and how
 * many were at most that, ascending, the last bound infinite. Null without observations, infinite beyond the last finite bound.
 */
export function quantile(q, buckets) {
    const total = buckets.at(-1)?.[1] ?? 0;
    if (!(total > 0)) return null;
    const rank = q * total;
    const at = buckets.findIndex(([, count]) => count >= rank && count > 0);
    const [upper, count] = buckets[at];
    if (upper === Infinity) return Infinity;
    if (at === 0 && upper <= 0) return upper;
    const [lower, below] = at === 0 ? [0, 0] : buckets[at - 1];
    return lower + (upper - lower) * ((rank - below) / (count - below));
}

const matches = (labels, where) => Object.entries(where).every(([name, wanted]) =>
    typeof wanted === "function" ? wanted(labels[name]) : labels[name] === wanted);

/** What was counted in some steps that follow each other. `scrape` is the last, which tells what there is to count. */
export class View {
    constructor(steps, scrape) {
        this.steps = steps;
        this.scrape = scrape;
        this.seconds = steps.reduce((sum, { seconds }) => sum + seconds, 0);
    }

    /** Whether there is anything to say of a counter: it was there at the end, and once before. */
    has(name) {
        return this.steps.length > 0 && this.scrape.samples.has(name);
    }

    *#each(name, where) {
        for (const { counted } of this.steps) {
            for (const more of counted.get(name) ?? []) if (matches(more.series.labels, where)) yield more;
        }
    }

    /** How much a counter grew; null if there is no such counter. */
    count(name, where = {}) {
        if (!this.has(name)) return null;
        let sum = 0;
        for (const { increase } of this.#each(name, where)) sum += increase;
        return sum;
    }

    /** How much it grew a second. */
    rate(name, where = {}) {
        const count = this.count(name, where);
        return count === null ? null : count / this.seconds;
    }

    /** The buckets of a histogram, all series that match taken together. */
    buckets(name, where = {}) {
        const sums = new Map();
        for (const { series } of this.scrape.samples.get(`${name}_bucket`) ?? []) {
            if (matches(series.labels, where)) sums.set(series.labels.le, 0);
        }
        for (const { series, increase } of this.#each(`${name}_bucket`, where)) {
            sums.set(series.labels.le, (sums.get(series.labels.le) ?? 0) + increase);
        }
        const bound = (le) => (le === "+Inf" ? Infinity : Number(le));
        return [...sums].map(([le, count]) => [bound(le), count]).sort(([a], [b]) => a - b);
    }

    quantile(q, name, where = {}) {
        return quantile(q, this.buckets(name, where));
    }

    /** The mean of a histogram. */
    mean(name, where = {}) {
        const count = this.count(`${name}_count`, where);
        return count ? this.count(`${name}_sum`, where) / count : null;
    }
}

/** Gauges of a scrape, summed; null where there is none. */
export function gauge(scrape, name, where = {}) {
    const found = (scrape.samples.get(name) ?? []).filter(({ series }) => matches(series.labels, where));
    return found.length ? found.reduce((sum, { value }) => sum + value, 0) : null;
}

/** The values that a label has. */
export function values(scrape, name, label) {
    const all = (scrape.samples.get(name) ?? []).map(({ series }) => series.labels[label]);
    return [...new Set(all.filter((value) => value !== undefined))].sort();
}

/** The outcomes of statements that failed. Whoever abandoned one had left. */
export const FAILED = (outcome) => outcome === "error" || outcome === "timeout";

/** Which part of what was looked for was in a cache. */
export function cached(view) {
    const [hits, misses] = [view.count("cache_hits_total"), view.count("cache_misses_total")];
    return hits === null || misses === null || !(hits + misses) ? null : hits / (hits + misses);
}

/** The slowest observation of which a trace is named, among the series that match. */
export function exemplar(scrape, name, where = {}, since = 0) {
    let slowest = null;
    for (const { series, exemplar } of scrape.samples.get(`${name}_bucket`) ?? []) {
        if (!exemplar?.labels.trace_id || !matches(series.labels, where)) continue;
        if (exemplar.at < since) continue;
        if (!slowest || exemplar.value > slowest.value) slowest = exemplar;
    }
    return slowest && { trace: slowest.labels.trace_id, seconds: slowest.value };
}

/** The last scrapes, as steps. */
export class History {
    #steps = [];
    #dated = new Map();
    last = null;

    constructor(seconds) {
        this.keep = seconds * 1000;
    }

    /** Takes a scrape in; gives the step to it, or null for the first one. */
    add(scrape) {
        this.#date(scrape);
        const made = this.last && step(this.last, scrape);
        this.last = scrape;
        if (!made) return null;
        this.#steps.push(made);
        while (this.#steps[0].at < scrape.at - this.keep) this.#steps.shift();
        return made;
    }

    /** An exemplar that does not say when it was is as old as the first scrape that had it. */
    #date(scrape) {
        const dated = new Map();
        for (const samples of scrape.samples.values()) {
            for (const { series, exemplar } of samples) {
                if (!exemplar) continue;
                const key = `${series.head} ${exemplar.labels.trace_id}`;
                exemplar.at ??= this.#dated.get(key) ?? scrape.wall / 1000;
                dated.set(key, exemplar.at);
            }
        }
        this.#dated = dated;
    }

    /** What happened in the last so many seconds, or in the last step if that took longer. */
    over(seconds) {
        const since = this.last.at - seconds * 1000;
        const recent = this.#steps.filter(({ at }) => at > since + 1);
        return new View(recent.length ? recent : this.#steps.slice(-1), this.last);
    }
}
