// Shows the reader's own verdicts in the cards and lists of a served book. Pages opened from disk, or hosted as files,
// lack the attribute that the server puts on <html>; there this script only mends what mdBook leaves out.
(() => {
    "use strict";

    const built = document.documentElement.dataset.live;
    const parts = new Set();
    let status = null;

    // Each status has a shape of its own, so that colour is not needed to tell them apart.
    const SHAPES = {
        pass: '<circle cx="12" cy="12" r="10" fill="currentColor"/><path d="M7 12.5l3.4 3.4L17 9" stroke="var(--bg)"/>',
        fail: '<rect x="2.5" y="2.5" width="19" height="19" rx="4"/><path d="M8 8l8 8M16 8l-8 8"/>',
        error: '<path d="M12 3L22 20.5H2z"/><path d="M12 9.5v5M12 17.2v.4"/>',
        limit: '<circle cx="12" cy="12" r="9.5"/><path d="M12 6.5V12l4 2.5"/>',
        blocked: '<circle cx="12" cy="12" r="9.5"/><path d="M5.5 18.5l13-13"/>',
        inconclusive: '<path d="M12 2l10 10-10 10L2 12z"/><path d="M8 13c1.4-2.4 2.6-2.4 4-1s2.6 1.4 4-1"/>',
        skipped: '<circle cx="12" cy="12" r="9.5" stroke-dasharray="3.5 4"/><path d="M8 12h8"/>',
        running: '<g class="turn"><path d="M12 2.5a9.5 9.5 0 1 1-9.5 9.5"/></g>',
    };
    const WORDS = {
        pass: "Passed", fail: "Not passed", error: "Error", limit: "Over the limit", blocked: "Blocked",
        inconclusive: "Inconclusive", skipped: "Not run", running: "Running", waiting: "Waiting",
    };

    const make = (name, className, text) => {
        const element = document.createElement(name);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        return element;
    };

    const mark = (element, shape) => {
        if (element.dataset.shape === shape) return;
        element.dataset.shape = shape;
        const shapes = SHAPES[shape];
        element.innerHTML = shapes
            ? `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">${shapes}</svg>`
            : "";
    };

    const figure = (value) => {
        const digits = Math.abs(value) >= 1000 || Number.isInteger(value) ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
        return value.toLocaleString("en", digits);
    };

    const points = (count) => `${count} point${count === 1 ? "" : "s"}`;

    // The shape and the words for an exercise as a whole.
    const standing = (entry) => {
        const scored = `${entry.points} of ${points(entry.max_points)}`;
        switch (entry.state) {
            case "passed": return ["pass", `Passed, ${scored}`];
            case "running": {
                const checks = entry.live.report.checks;
                const done = checks.filter((check) => check.status !== "skipped").length;
                return ["running", `Checking, ${done} of ${checks.length} done`];
            }
            case "failed": return [entry.live?.report.build_error ? "error" : "fail", entry.live?.report.build_error ? "It does not compile" : `Not passed yet, ${scored}`];
            case "blocked": return ["blocked", `Blocked, ${scored}`];
            case "inconclusive": return ["inconclusive", `Inconclusive, ${scored}`];
            default: return ["waiting", "Not started"];
        }
    };

    // Changes a node only when it says something else, so that a screen reader is not told the same thing again.
    const say = (element, className, fill) => {
        const next = make(element.tagName, className);
        fill(next);
        if (element.className === next.className && element.textContent === next.textContent) return;
        element.className = className;
        element.replaceChildren(...next.childNodes);
    };

    // Words between backticks as code, as in the pages.
    const coded = (text) => text.split("`").map((part, i, all) => {
        if (i % 2 === 0) return part;
        return i < all.length - 1 ? make("code", "", part) : `\`${part}`;
    });

    // Lines that begin with a space are rows of a table, and stay as they are.
    const laidOut = (text) => text.split(/((?:\n .*)+)/).flatMap((part, i) =>
        i % 2 === 0 ? coded(part) : make("pre", "", part.slice(1)));

    const compared = (check) => {
        if (check.measured === null) return "";
        const bound = check.gate?.at_least ?? check.gate?.at_most;
        const side = check.gate?.at_least !== undefined ? "at least" : "at most";
        return `measured ${figure(check.measured)}${check.gate ? `, the gate is ${side} ${figure(bound)}` : ""}`;
    };

    class Card extends HTMLElement {
        connectedCallback() {
            parts.add(this);
            const command = this.querySelector(".command");
            if (command && navigator.clipboard && !this.querySelector(".copy")) {
                const button = make("button", "copy", "Copy");
                button.type = "button";
                button.setAttribute("aria-label", `Copy the command ${command.textContent}`);
                button.addEventListener("click", async () => {
                    try { await navigator.clipboard.writeText(command.textContent); button.textContent = "Copied"; }
                    catch { button.textContent = "Not copied"; }
                    setTimeout(() => { button.textContent = "Copy"; }, 2000);
                });
                command.after(button);
            }
            this.show();
        }

        disconnectedCallback() { parts.delete(this); }

        show() {
            const entry = status?.exercises[this.dataset.slug];
            if (!entry) return;
            const [shape, words] = standing(entry);
            const line = this.querySelector(".card-state");
            line.hidden = false;
            say(line, `card-state is-${shape}`, (line) => {
                const shown = make("span", "mark");
                shown.setAttribute("aria-hidden", "true");
                mark(shown, shape);
                line.append(shown, make("span", "word", words));
            });
            // Where nothing compiled, no check has a verdict of its own.
            const checks = entry.live && !entry.live.report.build_error ? entry.live.report.checks : [];
            let reached = false;
            for (const item of this.querySelectorAll(".check")) {
                const check = checks.find((check) => check.name === item.dataset.check);
                let state = check ? check.status : "waiting";
                if (entry.live?.running && state === "skipped") {
                    state = reached ? "waiting" : "running";
                    reached = true;
                }
                this.verdict(item, check, state);
            }
            this.compiler(entry.live?.report.build_error);
            // Only from now on: what was known when the page opened is read in its place.
            this.querySelector(".checks").setAttribute("aria-live", "polite");
        }

        verdict(item, check, state) {
            item.className = `check is-${state}`;
            mark(item.querySelector(".mark"), state);
            let line = item.querySelector(".check-verdict");
            if (!check) { line?.remove(); return; }
            if (!line) item.lastElementChild.append(line = make("p", "check-verdict"));
            const message = state === "pass" || state === "running" || state === "waiting" ? "" : check.message;
            // A message that names the figure need not be preceded by it.
            const measured = message && check.measured !== null && message.includes("the gate is") ? "" : compared(check);
            say(line, "check-verdict", (line) => line.append(make("b", "", WORDS[state]), ...laidOut([measured, message].filter(Boolean).join(". "))));
        }

        compiler(text) {
            let box = this.querySelector(".build-error");
            if (!text) { box?.remove(); return; }
            if (!box) {
                box = make("pre", "build-error");
                box.tabIndex = 0;
                box.setAttribute("aria-label", "What the compiler says");
                this.querySelector(".checks").before(box);
            }
            // Colours are for a terminal.
            const plain = text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, "");
            if (box.textContent !== plain) box.textContent = plain;
        }
    }

    class List extends HTMLElement {
        connectedCallback() { parts.add(this); this.show(); }

        disconnectedCallback() { parts.delete(this); }

        show() {
            if (!status) return;
            for (const cell of this.querySelectorAll(".live")) cell.hidden = false;
            for (const row of this.querySelectorAll("tr[data-slug]")) {
                const entry = status.exercises[row.dataset.slug];
                if (!entry) continue;
                const [shape, words] = standing(entry);
                say(row.querySelector(".live"), `live is-${shape}`, (cell) => {
                    const shown = make("span", "mark");
                    shown.setAttribute("aria-hidden", "true");
                    mark(shown, shape);
                    cell.append(shown, words);
                });
            }
        }
    }

    customElements.define("course-card", Card);
    customElements.define("course-list", List);

    const bars = {};
    const bar = (name, title, detail) => {
        bars[name]?.remove();
        delete bars[name];
        if (!title) return;
        const box = make("div", name === "away" ? "course-bar quiet" : "course-bar");
        box.setAttribute("role", "alert");
        box.tabIndex = 0;
        box.append(make("p", "", title));
        if (detail) box.append(make("pre", "", detail));
        document.body.append(bars[name] = box);
    };

    let source = null;
    let away = 0;
    const connect = () => {
        if (source || document.visibilityState === "hidden") return;
        source = new EventSource("/api/events");
        source.addEventListener("status", (event) => {
            status = JSON.parse(event.data);
            clearTimeout(away);
            away = 0;
            bar("away");
            // The server was started anew, or rebuilt the book, while this page was not listening.
            if (status.build !== built) { location.reload(); return; }
            bar("build", status.build_error && "The latest edit of the book could not be built; this is how it was before.", status.build_error);
            for (const part of parts) part.show();
            document.dispatchEvent(new CustomEvent("course-status", { detail: status }));
        });
        source.addEventListener("reload", () => location.reload());
        source.addEventListener("build-error", (event) => {
            bar("build", "The latest edit of the book could not be built; this is how it was before.", event.data);
        });
        source.onerror = () => {
            away ||= setTimeout(() => bar("away", "The book's server has ended, so what is shown here may be old. Start it with: cargo xtask start"), 3000);
            // A refused connection is retried by the browser, an answer that is no stream is not.
            if (source?.readyState === EventSource.CLOSED) { disconnect(); setTimeout(connect, 2000); }
        };
    };
    const disconnect = () => { source?.close(); source = null; };

    if (built) {
        connect();
        // A browser opens few connections to one server; a page that nobody looks at must not hold one.
        document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? disconnect() : connect()));
        addEventListener("pagehide", disconnect);
        addEventListener("pageshow", connect);
    }

    // mdBook's button for the table of contents is a label, which the keyboard does not reach.
    const contents = document.getElementById("mdbook-sidebar-toggle");
    if (contents && !contents.hasAttribute("tabindex")) {
        contents.tabIndex = 0;
        contents.setAttribute("role", "button");
        contents.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            contents.click();
        });
    }
})();
