// How long a request waits in line, by how busy the servers are: M/M/1 and M/M/c.
(() => {
    "use strict";

    const { draw, words, rule, figure, percent, time } = CourseWidget.tools;

    // The share of arrivals that find all `servers` busy (Erlang C) when `load` of them would be busy on average. By the
    // recursion for Erlang B, which no number of servers overflows.
    const erlangC = (servers, load) => {
        if (load >= servers) return 1;
        let refused = 1;
        for (let n = 1; n <= servers; n += 1) refused = (load * refused) / (n + load * refused);
        return refused / (1 - (load / servers) * (1 - refused));
    };

    // `rate` requests a second, each of which keeps one of the servers busy for `service` seconds on average.
    const queue = (rate, service, servers) => {
        const load = rate * service;
        const waits = erlangC(servers, load);
        // What the servers could do beyond what arrives, in requests a second. It empties the line.
        const spare = servers / service - rate;
        const mean = spare > 0 ? waits / spare : Infinity;
        return {
            load, waits,
            utilisation: load / servers,
            wait: mean,
            // The wait is longer than t with probability waits * exp(-spare * t).
            p99: spare > 0 ? Math.max(0, Math.log(waits / 0.01) / spare) : Infinity,
            time: mean + service,
            // Little's law, twice: for whoever waits, and for whoever waits or is served.
            inLine: rate === 0 ? 0 : rate * mean,
            inSystem: rate === 0 ? 0 : rate * (mean + service),
        };
    };

    // Two digits, in each decade: 1, 1.1, ... 9.9, 10, 11, ...
    const digits = (from, to) => {
        const values = [];
        for (let ten = from; ten < to; ten *= 10) for (let n = 10; n < 100; n += 1) values.push((n * ten) / 10);
        return [...values, to];
    };
    const HIGHEST = 10;

    class QueueWait extends CourseWidget {
        static formulas = { erlangC, queue };
        static title = "Utilisation and waiting";
        static note = "This takes for granted that requests arrive independently of each other (Poisson), that service times vary a lot (exponential), that there is one line, first come first served, without a limit, and that nobody gives up. It is the average of a long run: close to 100 % a real hour can be far better or worse. Where service times vary less, waits are shorter, down to half for one server if all are equal; bursts make them longer. Little's law needs none of this, only a line that does not grow for ever.";

        build() {
            this.rate = this.slider("Arrival rate", [0, ...digits(1, 10000)], 80, (rate) => `${figure(rate)} requests/s`);
            this.service = this.slider("Mean service time", digits(1, 1000), 10, (ms) => `${figure(ms)} ms`);
            this.servers = this.slider("Servers", Array.from({ length: 64 }, (_, i) => i + 1), 1, String);
            this.tell = this.facts("Utilisation", "Arrivals that have to wait", "Mean wait", "p99 of the wait", "Mean time, wait and service", "Requests there, L = λ × W", "Of these in line", "With a line for each server");
        }

        update() {
            const [rate, service, servers] = [this.rate(), this.service() / 1000, this.servers()];
            const now = this.now = queue(rate, service, servers);
            const alone = queue(rate / servers, service, 1);
            const law = `${figure(rate)}/s × ${time(now.time)} = ${figure(now.inSystem)}`;
            const steady = Number.isFinite(now.wait);
            const facts = [percent(now.utilisation), percent(now.waits), time(now.wait), time(now.p99), time(now.time), law, figure(now.inLine), servers === 1 ? "the same" : time(alone.wait)];
            this.tell(...(steady ? facts : facts.map((text, i) => (i > 1 ? "without end" : text))));
            this.say(steady
                ? `Busy ${percent(now.utilisation)} of the time: a request waits ${time(now.wait)} on average and is answered after ${time(now.time)}.`
                : rate * service === servers
                    ? "Exactly as much arrives as can be served. On average nothing is left to empty the line, and it grows without end."
                    : `More arrives than can be served: the line grows by ${figure(rate - servers / service)} requests every second, without end.`);
            this.redraw();
        }

        picture(width) {
            const [service, servers, { utilisation, wait }] = [this.service() / 1000, this.servers(), this.now];
            const { svg, at } = this.axes(width, 300, `Mean wait over utilisation for ${servers === 1 ? "one server" : `${servers} servers and for one`}: flat at first, then ever steeper towards 100 %.`,
                { from: 0, to: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1], show: (tick) => figure(100 * tick), label: "utilisation, %" },
                { from: 0, to: HIGHEST, ticks: [0, 2, 4, 6, 8, 10], show: figure, label: "mean wait, in service times" });
            const curve = (many, style) => {
                const points = [];
                // Densest where the curve is steepest.
                for (let i = 0; i < 400; i += 1) {
                    const busy = 1 - (1 - i / 400) ** 2;
                    const height = queue(busy * many, 1, many).wait;
                    if (height > HIGHEST) break;
                    points.push(at(busy, height).map((n) => n.toFixed(1)).join(","));
                }
                svg.append(draw("polyline", { class: `line ${style}`, points: points.join(" ") }));
            };
            if (servers > 1) curve(1, "s1");
            curve(servers, "s0");
            const key = (y, style, text) => svg.append(rule(`line ${style}`, 56, y, 84, y), words("label start", 92, y + 5, text));
            key(40, "s0", servers === 1 ? "1 server" : `${servers} servers, one line`);
            if (servers > 1) key(62, "s1", "1 server");
            if (utilisation < 1) {
                const [x, y] = at(utilisation, Math.min(wait / service, HIGHEST));
                svg.append(draw("circle", { class: "marker s0", cx: x, cy: y, r: 7 }));
                if (wait / service > HIGHEST) svg.append(words("value end", x - 12, y + 5, `${figure(wait / service)} ↑`));
            }
            return svg;
        }
    }

    customElements.define("queue-wait", QueueWait);
})();
