// From an error rate and an objective to the burn rate, and to which alert fires when.
(() => {
    "use strict";

    const { draw, words, rule, figure, percent, time, make } = CourseWidget.tools;

    const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
    const PERIOD = 30 * DAY;
    // Windows and factors of the SRE workbook, in seconds. The short window is a twelfth of the long one.
    const ALERTS = [
        { name: "1\u00a0h and 5\u00a0min", kind: "page", long: HOUR, short: 5 * MINUTE, factor: 14.4 },
        { name: "6\u00a0h and 30\u00a0min", kind: "page", long: 6 * HOUR, short: 30 * MINUTE, factor: 6 },
        { name: "1\u00a0d and 2\u00a0h", kind: "ticket", long: DAY, short: 2 * HOUR, factor: 3 },
        { name: "3\u00a0d and 6\u00a0h", kind: "ticket", long: 3 * DAY, short: 6 * HOUR, factor: 1 },
    ];

    // How many times faster than allowed the budget is spent. Errors and objective are in millionths of the requests:
    // of whole numbers the quotient is exact, so that a rate exactly at a factor is seen as such.
    const burnRate = (errors, objective) => (errors === 0 ? 0 : errors / (1e6 - objective));

    // Seconds until the budget of 30 days is gone.
    const exhaustion = (burn) => (burn === 0 ? Infinity : PERIOD / burn);

    // When an alert fires after errors began, out of none, and how long after their end it still does, if they lasted for
    // the short window. The share of errors in a window grows evenly until the window is full of them; both windows have to
    // exceed the factor.
    const alertAt = (burn, { long, short, factor }) => {
        const fires = burn > factor;
        const reached = (window) => (fires ? (window * factor) / burn : Infinity);
        return {
            fires,
            after: Math.max(reached(long), reached(short)),
            clears: fires ? short - reached(short) : Infinity,
            spent: fires ? (factor * long) / PERIOD : 0,
        };
    };

    const PARTS = [0, 10, 20, 50, 100, 200, 500, 1000, 1500, 2000, 3000, 5000, 7000, 10000, 14400, 15000, 20000, 30000, 50000, 70000, 100000, 150000, 200000, 300000, 500000, 700000, 1000000];
    const OBJECTIVES = [900000, 950000, 990000, 995000, 999000, 999500, 999900, 999990, 1000000];
    const TICKS = [[1, "1 s"], [MINUTE, "1 min"], [HOUR, "1 h"], [DAY, "1 d"], [30 * DAY, "30 d"]];
    const share = (millionths) => `${(millionths / 10000).toLocaleString("en", { maximumFractionDigits: 4 })} %`;

    class BurnRate extends CourseWidget {
        static formulas = { burnRate, exhaustion, alertAt, ALERTS };
        static title = "Burn rate, and which alert fires when";
        static note = "The errors begin all at once and stay at this rate, with as many requests every second, none had failed before, and rules are evaluated without delay. A real rule fires up to one evaluation later, and with few requests a single failure is a large share. An alert fires while both of its windows burn faster than its factor: the long one keeps a short burst from waking anybody, the short one lets it end soon after the errors do. The last column is how soon, where they lasted longer than the short window.";

        build() {
            this.errors = this.slider("Share of requests that fail", PARTS, 100000, share);
            this.objective = this.choice("Objective", OBJECTIVES, 999000, share);
            this.tell = this.facts("Error budget", "Burn rate", "The budget of 30 days is gone after");
            const row = (cell, ...texts) => make("tr", "", ...texts.map((text, i) => {
                const element = make(i === 0 ? "th" : cell, "", text);
                if (i === 0 || cell === "th") element.scope = cell === "th" ? "col" : "row";
                return element;
            }));
            this.rows = ALERTS.map((alert) => row("td", `${alert.kind}: ${alert.name}, ×\u00a0${alert.factor}`, "", "", ""));
            this.append(make("table", "widget-table", make("thead", "", row("th", "Alert: windows, factor", "Fires after", "Budget spent", "Ends after errors")), make("tbody", "", ...this.rows)));
        }

        update() {
            const burn = burnRate(this.errors(), this.objective());
            const gone = exhaustion(burn);
            this.states = ALERTS.map((alert) => ({ ...alert, ...alertAt(burn, alert) }));
            this.gone = gone;
            this.tell(share(1e6 - this.objective()), burn === Infinity ? "no number: there is no budget" : figure(burn), burn === 0 ? "never" : time(gone));
            this.states.forEach((state, i) => {
                const [, after, spent, clears] = this.rows[i].cells;
                after.textContent = state.fires ? time(state.after) : "never";
                spent.textContent = !state.fires ? "–" : burn === Infinity ? "all" : percent(state.spent);
                clears.textContent = state.fires ? time(state.clears) : "–";
            });
            const first = this.states.filter((state) => state.fires).sort((a, b) => a.after - b.after)[0];
            const page = this.states.filter((state) => state.fires && state.kind === "page").sort((a, b) => a.after - b.after)[0];
            if (burn === 0) this.say("Nothing fails, so nothing burns and nobody is told.");
            else if (burn === Infinity) this.say("An objective of 100 % has no budget: the first failed request is over it, and pages at once. Nobody can keep that.");
            else if (page) this.say(`A burn rate of ${figure(burn)}: somebody is paged after ${time(page.after)}, and the budget of 30 days is gone after ${time(gone)}.`);
            else if (first) this.say(`A burn rate of ${figure(burn)}: nobody is paged. A ticket is opened after ${time(first.after)}, and the budget of 30 days is gone after ${time(gone)}.`);
            else this.say(`A burn rate of ${figure(burn)}: no alert fires, and the budget lasts for ${time(gone)}, no less than its 30 days.`);
            this.redraw();
        }

        // A line of time for each alert, by decades: black until it fires.
        picture(width) {
            const [left, right, row] = [8, width - 22, 42];
            const bottom = 5 * row + 8;
            const place = (seconds) => left + ((right - left) * Math.log10(Math.min(Math.max(seconds, 1), PERIOD))) / Math.log10(PERIOD);
            const label = this.states.map((state) => `${state.kind} ${state.name}: ${state.fires ? time(state.after) : "never"}`).join("; ");
            const svg = draw("svg", { class: "plot", role: "img", "aria-label": `When each alert fires, on a line from a second to 30 days. ${label}.`, width, height: bottom + 44, viewBox: `0 0 ${width} ${bottom + 44}` });
            for (const [seconds, text] of TICKS) svg.append(rule("grid", place(seconds), 4, place(seconds), bottom), words(seconds === 1 ? "tick start" : "tick middle", place(seconds), bottom + 18, text));
            const line = (i, style, text, seconds) => {
                const y = row * i + 34;
                const reached = seconds <= PERIOD;
                svg.append(words("label start", left, y - 12, text), rule("axis", left, y, right, y));
                if (!reached) return;
                const x = place(seconds);
                svg.append(rule(`line ${style}`, left, y, x, y), draw("circle", { class: `marker ${style}`, cx: x, cy: y, r: 6 }));
            };
            this.states.forEach((state, i) => line(i, state.kind === "page" ? "s1" : "s0", `${state.kind} ${state.name}: ${state.fires ? time(state.after) : "never"}`, state.after));
            line(4, "s3", `budget gone: ${this.gone > PERIOD ? "not within 30 days" : time(this.gone)}`, this.gone);
            svg.append(words("axis-label middle", (left + right) / 2, bottom + 38, "time since the errors began, by powers of ten"));
            return svg;
        }
    }

    customElements.define("burn-rate", BurnRate);
})();
