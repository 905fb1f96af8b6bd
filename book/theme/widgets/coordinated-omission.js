// A server that stalls now and then, under a closed and an open load: what each of them sees of the same stalls.
(() => {
    "use strict";

    const { make, draw, words, figure, percent, time, nearestRank } = CourseWidget.tools;

    // All moments and durations are whole microseconds, so that no rounding error decides what meets a stall.

    // When `work` is done that begins at `from`. The server stops for the last `stall` of each `period`, whatever it does.
    const finish = (from, work, { stall, period }) => {
        let now = from;
        for (let left = work; ;) {
            const end = (Math.floor(now / period) + 1) * period;
            const able = Math.max(0, end - stall - now);
            if (left <= able) return now + left;
            left -= able;
            now = end;
        }
    };

    // Requests `{ at, took }` of one client that means to send every `gap`, and sends nothing while it waits.
    const closed = (gap, service, stalls, until) => {
        const sent = [];
        for (let at = 0; at < until;) {
            const done = finish(at, service, stalls);
            sent.push({ at, took: done - at });
            at = Math.max(at + gap, done);
        }
        return sent;
    };

    // The same for requests that are due every `gap` whatever the server does, and counted from then. They wait in line.
    const open = (gap, service, stalls, until) => {
        const sent = [];
        for (let at = 0, free = 0; at < until; at += gap) {
            free = finish(Math.max(at, free), service, stalls);
            sent.push({ at, took: free - at });
        }
        return sent;
    };

    // Percentiles, in thousandths, of what the requests took, by nearest rank.
    const percentiles = (sent, wanted) => {
        const sorted = Float64Array.from(sent, ({ took }) => took).sort();
        return wanted.map((of) => sorted[nearestRank(sorted.length, of) - 1]);
    };

    const PERIODS = 6;
    const WANTED = [500, 900, 990, 999, 1000];

    class CoordinatedOmission extends CourseWidget {
        static formulas = { finish, closed, open, percentiles };
        static title = "One server, two sets of latencies";
        static note = `Computed, not measured: the server answers one request at a time, each takes equally long, and it stalls at the end of every period. The table is of ${PERIODS} periods, the plot of the first two. Percentiles are by nearest rank. The closed load is one client; with fifty there would be fifty slow answers a stall, and still all that was not sent would be missing.`;

        build() {
            this.rate = this.slider("Requests meant to be sent", [5, 10, 20, 40, 50, 80, 100, 125, 160, 200, 250], 100, (rate) => `${rate}/s`);
            this.service = this.slider("Service time", [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20], 2, (ms) => `${ms} ms`);
            this.stall = this.slider("Stall", [0, 50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 4000], 1000, (ms) => time(ms / 1000));
            this.period = this.slider("One stall every", [5, 10, 15, 20, 30], 10, time);
            const heads = ["", "closed load", "open load"].map((text) => Object.assign(make("th", "", text), { scope: "col" }));
            const names = ["requests", "p50", "p90", "p99", "p99.9", "slowest"];
            this.cells = names.map(() => [make("td"), make("td")]);
            const rows = names.map((name, i) => make("tr", "", Object.assign(make("th", "", name), { scope: "row" }), ...this.cells[i]));
            this.append(make("table", "widget-table", make("thead", "", make("tr", "", ...heads)), make("tbody", "", ...rows)));
        }

        update() {
            const [gap, service, stall, period] = [1e6 / this.rate(), this.service() * 1e3, this.stall() * 1e3, this.period() * 1e6];
            const stalls = { stall, period };
            this.loads = [closed, open].map((load) => load(gap, service, stalls, PERIODS * period));
            this.stalls = stalls;
            const [less, more] = this.loads.map((sent) => percentiles(sent, WANTED).map((took) => time(took / 1e6)));
            this.cells.forEach(([one, other], i) => {
                one.textContent = i === 0 ? figure(this.loads[0].length) : less[i - 1];
                other.textContent = i === 0 ? figure(this.loads[1].length) : more[i - 1];
            });
            const missing = this.loads[1].length - this.loads[0].length;
            const busy = (service / gap) * (period / (period - stall));
            const told = `The closed load reports a p99 of ${less[2]}, the open load one of ${more[2]}. `;
            if (busy > 1) this.say(`${told}More is due than the server can do between its stalls (${percent(busy)}): in the open load the line grows for as long as it lasts, and the closed load hides that by sending ${figure(missing)} requests fewer.`);
            else if (missing === 0) this.say(`${told}Nobody had to wait with sending, so both saw the same.`);
            else this.say(`${told}The difference is ${figure(missing)} requests that the closed load never sent, since it was waiting.`);
            this.redraw();
        }

        picture(width) {
            const { stall, period } = this.stalls;
            const shown = 2 * period;
            const seen = this.loads.map((sent) => sent.filter(({ at }) => at < shown));
            const most = Math.max(...seen.flat().map(({ took }) => took)) / 1e6;
            const step = 10 ** Math.floor(Math.log10(most));
            const size = [0.2, 0.5, 1, 2].map((n) => n * step).find((n) => most / n <= 6);
            const high = Math.ceil(most / size) * size;
            const steps = (to, by) => Array.from({ length: Math.round(to / by) + 1 }, (_, i) => i * by);
            const { svg, at } = this.axes(width, 300, "Latency of each request over the time at which it was sent or due. In the open load each stall begins a slope of slow requests, in the closed load it is one slow request.",
                { from: 0, to: shown / 1e6, ticks: steps(shown / 1e6, period / 2e6), show: figure, label: "sent or due after, s" },
                { from: 0, to: high, ticks: steps(high, size), show: (tick) => figure(most < 0.5 ? tick * 1000 : tick), label: `latency, ${most < 0.5 ? "ms" : "s"}` });
            for (const end of [period, shown]) {
                const [[left, top], [right, bottom]] = [at((end - stall) / 1e6, high), at(end / 1e6, 0)];
                svg.prepend(draw("rect", { class: "stall", x: left, y: top, width: right - left, height: bottom - top }));
            }
            // A dot is a line without length and with round ends, so that a thousand of them are one element. One on top of
            // the one before is left out.
            const dots = (sent, apart, shape) => {
                let [x, y] = [-apart, 0];
                return sent.flatMap(({ at: sentAt, took }) => {
                    const [a, b] = at(sentAt / 1e6, took / 1e6);
                    if (Math.hypot(a - x, b - y) < apart) return [];
                    [x, y] = [a, b];
                    return [`M${a.toFixed(1)} ${b.toFixed(1)}${shape}`];
                }).join("");
            };
            const SQUARE = "m-3.5-3.5h7v7h-7z";
            svg.append(draw("path", { class: "dots s1", d: dots(seen[1], 1, "h0") }), draw("path", { class: "squares s0", d: dots(seen[0], 9, SQUARE) }),
                draw("path", { class: "squares s0", d: `M62 40${SQUARE}` }), words("label start", 74, 45, "closed load"),
                draw("path", { class: "dots s1", d: "M62 60h0" }), words("label start", 74, 65, "open load"),
                draw("rect", { class: "stall", x: 56, y: 74, width: 12, height: 12 }), words("label start", 74, 85, "the server stalls"));
            return svg;
        }
    }

    customElements.define("coordinated-omission", CoordinatedOmission);
})();
