// Two servers and their requests, which the reader moves between them: the percentile of all stays, the averages do not.
(() => {
    "use strict";

    const { make, draw, words, rule, figure, nearestRank } = CourseWidget.tools;

    // The percentile, in thousandths, of groups `[ms, count]` by nearest rank; null when there are no requests.
    const percentile = (groups, thousandths) => {
        const sorted = groups.filter(([, count]) => count > 0).sort((a, b) => a[0] - b[0]);
        const total = sorted.reduce((sum, [, count]) => sum + count, 0);
        if (total === 0) return null;
        let left = nearestRank(total, thousandths);
        return sorted.find(([, count]) => (left -= count) <= 0)[0];
    };

    const requests = (groups) => groups.reduce((sum, [, count]) => sum + count, 0);

    // What a dashboard makes of two percentiles, and what is true. A server without requests has no percentile to average.
    const merge = (a, b, thousandths) => {
        const servers = [a, b].map((groups) => ({ count: requests(groups), value: percentile(groups, thousandths) }));
        const known = servers.filter(({ count }) => count > 0);
        const total = requests(servers.map(({ count }) => [0, count]));
        return {
            a: servers[0].value,
            b: servers[1].value,
            average: known.length ? known.reduce((sum, { value }) => sum + value, 0) / known.length : null,
            weighted: known.length ? known.reduce((sum, { value, count }) => sum + value * count, 0) / total : null,
            all: percentile([...a, ...b], thousandths),
        };
    };

    const range = (values) => {
        const [least, most] = [Math.min(...values), Math.max(...values)].map(figure);
        return least === most ? `${least} ms` : `${least} to ${most} ms`;
    };

    // How it begins: each group of equal requests, and its server.
    const START = [[20, 50, 0], [20, 40, 0], [30, 40, 0], [30, 30, 0], [40, 20, 0], [50, 10, 0], [80, 6, 0], [400, 1, 1], [450, 1, 1], [900, 1, 1], [1200, 1, 1]];
    const NAMES = ["A", "B"];

    class PercentileMerge extends CourseWidget {
        static formulas = { percentile, merge, START };
        static title = "Averaging percentiles";
        static note = "Percentiles are by nearest rank: multiply the number of requests by the fraction, round up, and take the request at that place in the sorted list. Of fewer than a hundred requests the p99 is therefore the slowest. “Weighted” counts each server’s percentile as often as it has requests.";

        build() {
            this.percent = this.choice("Percentile", [500, 900, 990], 990, (of) => `p${of / 10}`);
            this.controls.append(make("div", "widget-actions",
                this.button("Deal out evenly", () => this.deal((i) => i % 2)),
                this.button("Start again", () => this.deal((i) => START[i][2]))));
            const servers = NAMES.map((name, i) => {
                const heading = make("p", "server-name", `Server ${name}`);
                heading.id = `${this.getAttribute("aria-labelledby")}-${name}`;
                const list = make("div", "server-requests");
                const box = make("div", "server", heading, list);
                box.setAttribute("role", "group");
                box.setAttribute("aria-labelledby", heading.id);
                return { box, list, heading };
            });
            this.servers = servers;
            this.append(make("p", "widget-hint", "Drag requests to the other server, or press one to move it."), make("div", "servers", ...servers.map(({ box }) => box)));
            this.groups = START.map(([ms, count, server]) => {
                const group = { ms, count, server, button: this.button(`${count} × ${figure(ms)} ms`, () => this.move(group, 1 - group.server)) };
                this.draggable(group);
                return group;
            });
            this.seen = make("p", "widget-hint");
            this.append(this.seen);
            this.place();
        }

        // Puts each request where it belongs, in order of latency.
        place() {
            this.servers.forEach(({ list, heading }, server) => {
                const here = this.groups.filter((group) => group.server === server);
                list.replaceChildren(...here.map(({ button }) => button));
                heading.textContent = `Server ${NAMES[server]}: ${requests(here.map(({ ms, count }) => [ms, count]))} requests`;
            });
            for (const { button, count, ms, server } of this.groups) button.setAttribute("aria-label", `${count} × ${figure(ms)} ms on server ${NAMES[server]}, move to server ${NAMES[1 - server]}`);
        }

        move(group, server) {
            if (group.server === server) return;
            group.server = server;
            this.place();
            // In its new place it would have lost the focus.
            group.button.focus();
            this.update();
        }

        deal(of) {
            this.groups.forEach((group, i) => { group.server = of(i); });
            this.place();
            this.update();
        }

        draggable(group) {
            const { button } = group;
            let from = null;
            let dragged = false;
            button.addEventListener("pointerdown", (event) => {
                if (event.button !== 0) return;
                from = [event.clientX, event.clientY];
                dragged = false;
                button.setPointerCapture(event.pointerId);
            });
            button.addEventListener("pointermove", (event) => {
                if (!from) return;
                const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
                dragged ||= Math.hypot(x, y) > 5;
                if (dragged) button.style.transform = `translate(${x}px, ${y}px)`;
            });
            const end = (event) => {
                if (!from) return;
                from = null;
                button.style.transform = "";
                if (!dragged || event.type === "pointercancel") return;
                const over = this.servers.findIndex(({ box }) => {
                    const { left, right, top, bottom } = box.getBoundingClientRect();
                    return event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
                });
                if (over >= 0) this.move(group, over);
            };
            button.addEventListener("pointerup", end);
            button.addEventListener("pointercancel", end);
            // The click that ends a drag is not a press. One that comes from the keyboard has no detail, and always is.
            button.addEventListener("click", (event) => {
                if (!dragged || event.detail === 0) return;
                dragged = false;
                event.stopImmediatePropagation();
            }, { capture: true });
        }

        update() {
            const of = this.percent();
            const on = (server) => this.groups.filter((group) => group.server === server).map(({ ms, count }) => [ms, count]);
            const now = this.now = merge(on(0), on(1), of);
            if (this.of !== of) [this.of, this.averages] = [of, { average: [], weighted: [] }];
            for (const kind of ["average", "weighted"]) this.averages[kind].push(now[kind]);
            const name = `p${of / 10}`;
            const total = requests([...on(0), ...on(1)]);
            this.say(now.a === null || now.b === null
                ? `All requests are on one server, so there is nothing to average: its ${name} is that of all ${total}, ${figure(now.all)} ms.`
                : `The average of both ${name}s is ${figure(now.average)} ms. The ${name} of all ${total} requests is ${figure(now.all)} ms.`);
            const [plain, weighted] = Object.values(this.averages).map(range);
            this.seen.textContent = this.averages.average.length === 1
                ? `Move a few: the ${name} of all stays at ${figure(now.all)} ms, since they remain the same requests. Do the averages?`
                : `So far the average was ${plain}, weighted ${weighted}. The ${name} of all stayed at ${figure(now.all)} ms: they are the same requests.`;
            this.redraw();
        }

        picture(width) {
            const { a, b, average, weighted, all } = this.now;
            const name = `p${this.of / 10}`;
            const bars = [[`${name} of server A`, a, "s0"], [`${name} of server B`, b, "s0"], ["average of the two", average, "s1"], ["average, weighted by requests", weighted, "s1"], [`${name} of all requests`, all, "s2"]];
            const most = Math.max(...bars.map(([, value]) => value));
            const said = ([label, value]) => `${label}: ${value === null ? "no requests" : `${figure(value)} ms`}`;
            const svg = draw("svg", { class: "plot", role: "img", "aria-label": `${bars.map(said).join("; ")}.`, width, height: 218, viewBox: `0 0 ${width} 218` });
            bars.forEach(([label, value, style], i) => {
                const y = 42 * i + 4;
                const length = ((value ?? 0) / most) * (width - 100);
                svg.append(words("label start", 7, y + 14, label), draw("rect", { class: `bar ${style}`, x: 1, y: y + 20, width: Math.max(length, 1), height: 14 }),
                    words("value start", length + 8, y + 32, value === null ? "no requests" : `${figure(value)} ms`));
            });
            svg.append(rule("axis", 1, 2, 1, 216));
            return svg;
        }
    }

    customElements.define("percentile-merge", PercentileMerge);
})();
