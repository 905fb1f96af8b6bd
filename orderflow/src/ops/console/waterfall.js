// The spans of a trace as a tree in time.

import { h } from "./dom.js";
import { duration } from "./format.js";

const ms = (value) => duration(value / 1000).join(" ");

/** Spans with their depth, each after its parent, siblings by when they began. One whose parent is not there is a root. */
export function tree(spans) {
    const ids = new Set(spans.map(({ span_id: id }) => id));
    const children = new Map();
    for (const span of spans) {
        const parent = ids.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : null;
        if (!children.has(parent)) children.set(parent, []);
        children.get(parent).push(span);
    }
    const sorted = [];
    const seen = new Set();
    const visit = (parent, depth) => {
        for (const span of (children.get(parent) ?? []).sort((a, b) => a.offset_ms - b.offset_ms)) {
            if (seen.has(span.span_id)) continue;
            seen.add(span.span_id);
            sorted.push({ span, depth });
            visit(span.span_id, depth + 1);
        }
    };
    visit(null, 0);
    return sorted;
}

/** A statement is told by its name too. */
const named = ({ name, attributes }) => [name, attributes?.["db.query.name"]].filter(Boolean).join(": ");

function attributes(span) {
    const rows = Object.entries({ kind: span.kind, begins: `at ${ms(span.offset_ms)}`, span: span.span_id, ...span.attributes });
    return h("dl.attributes", { hidden: true },
        ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
}

export function waterfall(place, { spans }) {
    const from = Math.min(0, ...spans.map(({ offset_ms: offset }) => offset));
    const until = Math.max(...spans.map(({ offset_ms: offset, duration_ms: took }) => offset + took));
    const whole = until - from || 1;
    const ruler = h("div.ruler", { "aria-hidden": "true" }, ...[0, 0.25, 0.5, 0.75, 1].map((part) => h("span", {}, ms(from + whole * part))));
    const rows = tree(spans).map(({ span, depth }) => {
        const bar = h("i", { "data-kind": span.error ? "error" : span.kind });
        bar.style.setProperty("--from", ((span.offset_ms - from) / whole).toFixed(5));
        bar.style.setProperty("--part", (span.duration_ms / whole).toFixed(5));
        const more = attributes(span);
        const button = h("button", { type: "button", "aria-expanded": "false", click: () => {
            more.hidden = !more.hidden;
            button.setAttribute("aria-expanded", String(!more.hidden));
        } },
        h("span.name", {}, span.error ? h("b.bad", {}, "error ") : null, named(span)),
        h("span.kind", {}, span.kind === "internal" ? "" : span.kind),
        h("span.length", {}, ms(span.duration_ms)),
        h("span.track", { "aria-hidden": "true" }, bar));
        button.style.setProperty("--depth", Math.min(depth, 8));
        return h("li", {}, button, more);
    });
    place.replaceChildren(ruler, h("ol", { "aria-label": "Spans, each after what it is a part of" }, ...rows));
}
