// What the course's widgets have in common: an element that puts controls, a drawing and words in the place of the figure
// that it holds without scripts. A widget says with `build()` what is in it and with `update()` what the values are.
// Its formulas are pure functions in `static formulas`, where tests reach them by `customElements.get(name).formulas`.
(() => {
    "use strict";

    const SVG = "http://www.w3.org/2000/svg";
    // From how many seconds on a duration is told in which unit.
    const UNITS = [[0, 1e-6, "µs"], [1e-3, 1e-3, "ms"], [1, 1, "s"], [100, 60, "min"], [6000, 3600, "h"], [259200, 86400, "days"]];
    let made = 0;

    const make = (name, className, ...content) => {
        const element = document.createElement(name);
        if (className) element.className = className;
        element.append(...content);
        return element;
    };

    const draw = (name, attributes, ...content) => {
        const element = document.createElementNS(SVG, name);
        for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
        element.append(...content);
        return element;
    };

    const words = (className, x, y, text) => draw("text", { class: className, x, y }, text);

    const rule = (className, x1, y1, x2, y2) => draw("line", { class: className, x1, y1, x2, y2 });

    // Three significant digits below a thousand, whole numbers above, as in the figures of the book. What is smaller than
    // anybody cares about would be a row of zeros.
    const figure = (value) => value > 0 && value < 0.001 ? "under 0.001" : value.toLocaleString("en", Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });

    // A share of one. Between 99.9 % and all of it, three digits would say 100.
    const percent = (share) => `${share < 1 && share > 0.999 ? (100 * share).toLocaleString("en", { maximumSignificantDigits: 5 }) : figure(100 * share)} %`;

    const time = (seconds) => {
        if (!Number.isFinite(seconds)) return "never";
        if (seconds === 0) return "0 s";
        if (seconds < 1e-6) return "under 1 µs";
        const [, size, unit] = UNITS.findLast(([least]) => seconds >= least);
        return `${figure(seconds / size)} ${unit}`;
    };

    // The place of a percentile, in thousandths, among so many sorted values, counted from 1: the nearest rank.
    const nearestRank = (count, thousandths) => Math.max(1, Math.ceil((count * thousandths) / 1000));

    class CourseWidget extends HTMLElement {
        static tools = { make, draw, words, rule, figure, percent, time, nearestRank };

        connectedCallback() {
            // It is called again when the element is moved.
            if (this.status) return;
            const title = make("p", "widget-title", this.constructor.title);
            title.id = `widget-${++made}`;
            this.setAttribute("role", "group");
            this.setAttribute("aria-labelledby", title.id);
            this.controls = make("div", "widget-controls");
            this.status = make("p", "widget-status");
            this.status.setAttribute("role", "status");
            this.drawing = make("div", "widget-drawing");
            this.replaceChildren(title, this.controls, this.status);
            this.build();
            this.append(this.drawing, make("p", "widget-note", this.constructor.note));
            this.update();
            // Drawn in the page's own pixels, so that words in it keep their size on a telephone.
            this.watching = new ResizeObserver(() => {
                if (this.drawing.clientWidth !== this.drawn) this.redraw();
            });
            this.watching.observe(this.drawing);
        }

        redraw() {
            this.drawn = this.drawing.clientWidth;
            this.drawing.replaceChildren(this.picture(Math.max(this.drawn, 240)));
        }

        // Words that a screen reader is told when they change, and not when they do not.
        say(text) {
            if (this.status.textContent !== text) this.status.textContent = text;
        }

        control(label, input, value) {
            input.id = `widget-${++made}`;
            const name = make("label", "", label);
            name.htmlFor = input.id;
            const box = make("div", "widget-control", name, ...(value ? [value] : []), input);
            this.controls.append(box);
            input.addEventListener("input", () => this.update());
            return input;
        }

        // A slider over a list of values. Its value is what `show` says of the value, on the screen and to a screen reader.
        slider(label, values, start, show) {
            const input = make("input");
            Object.assign(input, { type: "range", min: 0, max: values.length - 1, step: 1, value: values.indexOf(start) });
            const shown = make("span", "widget-value");
            shown.setAttribute("aria-hidden", "true");
            const tell = () => {
                shown.textContent = show(values[input.value]);
                input.setAttribute("aria-valuetext", shown.textContent);
            };
            input.addEventListener("input", tell);
            tell();
            this.control(label, input, shown);
            return () => values[input.value];
        }

        choice(label, values, start, show) {
            const input = make("select", "", ...values.map((value, i) => new Option(show(value), i, value === start, value === start)));
            this.control(label, input);
            return () => values[input.value];
        }

        button(label, act) {
            const button = make("button", "", label);
            button.type = "button";
            button.addEventListener("click", act);
            return button;
        }

        // Names and values below each other; returns what sets the values, in the same order.
        facts(...names) {
            const values = names.map(() => make("dd"));
            this.append(make("dl", "widget-facts", ...names.map((name, i) => make("div", "", make("dt", "", name), values[i]))));
            return (...texts) => texts.forEach((text, i) => { values[i].textContent = text; });
        }

        // A drawing with two axes, and where a pair of values is in it. An axis has `from`, `to`, `ticks`, `show`, `label`.
        axes(width, height, label, x, y) {
            const [left, right, top, bottom] = [44, width - 10, 26, height - 42];
            const svg = draw("svg", { class: "plot", role: "img", "aria-label": label, width, height, viewBox: `0 0 ${width} ${height}` });
            const place = (axis, value) => (value - axis.from) / (axis.to - axis.from);
            const at = (a, b) => [left + place(x, a) * (right - left), bottom - place(y, b) * (bottom - top)];
            for (const tick of y.ticks) {
                const [, level] = at(x.from, tick);
                svg.append(rule("grid", left, level, right, level), words("tick end", left - 6, level + 4, y.show(tick)));
            }
            for (const tick of x.ticks) {
                const [across] = at(tick, y.from);
                svg.append(rule("grid", across, top, across, bottom), words("tick middle", Math.min(across, right - 8), bottom + 18, x.show(tick)));
            }
            svg.append(rule("axis", left, bottom, right, bottom), rule("axis", left, top, left, bottom),
                words("axis-label start", 2, 14, y.label), words("axis-label middle", (left + right) / 2, height - 6, x.label));
            return { svg, at };
        }
    }

    globalThis.CourseWidget = CourseWidget;
})();
