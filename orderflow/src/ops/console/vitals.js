// How this page itself does for whoever looks at it, shown at its foot and told to the service when the page is left.

import { $ } from "./dom.js";
import { facts } from "./facts.js";
import { duration, maybe } from "./format.js";

const MEANING = {
    TTFB: "time to first byte", FCP: "first contentful paint", LCP: "largest contentful paint", INP: "interaction to next paint",
};

function observe(type, options, each) {
    if (!PerformanceObserver.supportedEntryTypes.includes(type)) return;
    new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true, ...options });
}

export function vitals() {
    const known = { TTFB: null, FCP: null, LCP: null, INP: null };
    const told = new Set();
    const update = facts($("vitals"));
    const draw = () => update(Object.entries(known).map(([name, seconds]) => [
        `${name}, ${MEANING[name]}`, maybe(seconds, duration), { unknown: name === "INP" ? "no interaction yet" : "no data" },
    ]));
    const note = (name, milliseconds) => {
        known[name] = milliseconds / 1000;
        draw();
    };
    draw();

    const [navigation] = performance.getEntriesByType("navigation");
    if (navigation) note("TTFB", navigation.responseStart);
    observe("paint", {}, ({ name, startTime }) => name === "first-contentful-paint" && note("FCP", startTime));
    // What is painted later is news of the service, and no part of how the page came up.
    observe("largest-contentful-paint", {}, ({ startTime }) => startTime < 10_000 && note("LCP", startTime));
    // Of few interactions the slowest counts; one in fifty may be slower than what is told.
    const interactions = new Map();
    observe("event", { durationThreshold: 16 }, ({ interactionId: id, duration: took }) => {
        if (!id) return;
        interactions.set(id, Math.max(took, interactions.get(id) ?? 0));
        const slowest = [...interactions].sort(([, a], [, b]) => b - a);
        // More than the slowest few are not needed to tell the next one.
        for (const [gone] of slowest.slice(100)) interactions.delete(gone);
        note("INP", slowest[Math.min(slowest.length - 1, Math.floor(interactions.size / 50))][1]);
    });

    const tell = () => {
        const fresh = Object.entries(known).filter(([name, seconds]) => seconds !== null && !told.has(name));
        if (!fresh.length) return;
        const body = new Blob([JSON.stringify(Object.fromEntries(fresh))], { type: "application/json" });
        if (navigator.sendBeacon("console/vitals", body)) fresh.forEach(([name]) => told.add(name));
    };
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && tell());
    addEventListener("pagehide", tell);
}
