// Recent traces: a list that can be searched, and the waterfall of the one that is open.

import { $, h, say } from "./dom.js";
import { clock, duration } from "./format.js";
import { values } from "./history.js";
import { Unanswered, json } from "./source.js";
import { waterfall } from "./waterfall.js";

const LIMIT = 50;
const length = (trace) => duration(trace.duration_ms / 1000).join(" ");

/** Offers what there is to choose from, and keeps what is chosen. */
function offer(select, fixed, found) {
    const wanted = [...fixed, ...found];
    if (select.dataset.offered === wanted.join("\n")) return;
    select.dataset.offered = wanted.join("\n");
    const chosen = select.value;
    const all = chosen && !wanted.includes(chosen) ? [...wanted, chosen] : wanted;
    select.replaceChildren(...all.map((value) => h("option", { value }, value || "any")));
    select.value = chosen;
}

export function traces() {
    const [form, list, detail] = [$("search"), $("trace-list"), $("trace")];
    const lines = new Map();
    let [found, open, asked] = [[], null, 0];

    const line = (trace) => {
        const known = lines.get(trace.trace_id);
        const print = `${trace.spans.length} ${trace.duration_ms}`;
        if (known?.print === print) return known.element;
        const marks = [
            trace.status !== null && h(trace.status >= 500 ? "b.bad" : "b", {}, String(trace.status)),
            trace.spans.some(({ error }) => error) && h("b.bad", {}, "error"),
            trace.kept.includes("slow") && h("b.warn", {}, "slow"),
        ].filter(Boolean);
        const spans = trace.sampled ? `${trace.spans.length} ${trace.spans.length === 1 ? "span" : "spans"}` : "outline";
        const element = h("li", {}, h("a", { href: `#trace=${trace.trace_id}` },
            h("span.name", {}, trace.name), h("b.length", {}, length(trace)),
            h("span.more", {}, h("time", { datetime: trace.started, title: trace.started }, clock(new Date(trace.started))), " ", ...marks, ` ${spans}`)));
        lines.set(trace.trace_id, { element, print });
        return element;
    };

    function mark() {
        for (const [id, { element }] of lines) {
            const link = element.firstChild;
            if (id === open) link.setAttribute("aria-current", "true");
            else link.removeAttribute("aria-current");
        }
    }

    function draw(traces) {
        found = traces;
        for (const id of lines.keys()) if (!traces.some(({ trace_id }) => trace_id === id)) lines.delete(id);
        const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        list.replaceChildren(...traces.map(line));
        if (focused) list.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
        mark();
        say($("found"), traces.length ? `${traces.length === LIMIT ? "The newest " : ""}${traces.length} found` : "No trace that is kept is like that.");
    }

    async function look() {
        const query = new URLSearchParams({ limit: LIMIT });
        for (const [name, value] of new FormData(form)) if (value && name !== "follow") query.set(name, value);
        const turn = (asked += 1);
        try {
            const { traces } = await json(`debug/traces?${query}`);
            if (turn === asked) draw(traces);
        } catch (error) {
            if (!(error instanceof Unanswered)) throw error;
            if (turn === asked) say($("found"), `Traces cannot be shown: ${error.message}.`);
        }
    }

    function show(trace) {
        detail.dataset.spans = trace.spans.length;
        const about = [trace.status === null ? null : `status ${trace.status}`, length(trace), new Date(trace.started).toISOString(),
            trace.request_id && `request ${trace.request_id}`, `kept as ${trace.kept.join(" and ")}`];
        $("trace-name").textContent = trace.name;
        $("trace-about").replaceChildren(about.filter(Boolean).join(" · "), h("br"), "trace ", h("code", {}, trace.trace_id));
        $("trace-note").textContent = trace.sampled
            ? (trace.spans_dropped ? `${trace.spans_dropped} more spans were not kept.` : "")
            : "Only an outline is kept: this request was not traced, and kept since it failed or was slow.";
        waterfall($("waterfall"), trace);
    }

    /** Opens a trace; without one, closes what is open. */
    async function go(id) {
        const before = open;
        open = id;
        mark();
        detail.hidden = !id;
        if (!id || id === before) return;
        let trace = found.find(({ trace_id }) => trace_id === id);
        detail.dataset.spans = 0;
        $("trace-name").textContent = "Trace";
        $("trace-about").textContent = id;
        $("trace-note").textContent = trace ? "" : "Looking for it.";
        $("waterfall").replaceChildren();
        try {
            trace ??= (await json(`debug/traces?trace=${encodeURIComponent(id)}`)).traces[0];
            if (open !== id) return;
            if (trace) show(trace);
            else $("trace-note").textContent = "It is not kept: it was not traced, is too old, or another process has it.";
        } catch (error) {
            if (!(error instanceof Unanswered)) throw error;
            if (open === id) $("trace-note").textContent = `It cannot be shown: ${error.message}.`;
        }
        if (open === id) $("trace-name").focus();
    }

    /** What a trace set off may have ended since it was opened. */
    async function grow() {
        const id = open;
        try {
            const [trace] = (await json(`debug/traces?trace=${id}`)).traces;
            if (open === id && trace && trace.spans.length !== Number(detail.dataset.spans)) show(trace);
        } catch (error) {
            if (!(error instanceof Unanswered)) throw error;
        }
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    let typing = null;
    form.addEventListener("input", ({ target }) => {
        clearTimeout(typing);
        if (target.name !== "follow") typing = setTimeout(look, 250);
    });
    $("close").addEventListener("click", () => {
        const link = lines.get(open)?.element.firstChild;
        location.hash = "traces";
        // The list may not be seen beside the trace, and only what is seen takes the focus.
        go(null);
        (link ?? $("tab-traces")).focus();
    });

    return {
        go,
        look,
        /** Looks again: at the trace that is open, or for new ones if the reader wants to see them. */
        follow: async () => {
            if (found.length === 0 || (form.elements.follow.checked && !open)) await look();
            if (open) await grow();
        },
        choices: (scrape) => {
            offer(form.elements.route, [""], values(scrape, "http_requests_total", "route"));
            offer(form.elements.status, ["", "failed"], values(scrape, "http_requests_total", "status"));
        },
    };
}
