// Lines of the last five minutes. A stretch without data stays empty: it is neither 0 nor what was before it.

import { clock, text } from "./format.js";

export const SPAN = 300;
const [WIDTH, HEIGHT, PAD] = [300, 56, 3];
const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
}

/** The path through points `[at, value]`, broken where there is no value or nobody looked for a while. */
export function path(points, now, top) {
    let [drawn, before] = ["", null];
    for (const [at, value] of points) {
        if (value === null) {
            before = null;
            continue;
        }
        const x = WIDTH - ((now - at) / 1000 / SPAN) * WIDTH;
        const y = HEIGHT - PAD - (Math.min(value, top) / top) * (HEIGHT - 2 * PAD);
        const joined = before !== null && at - before < 12_000;
        // A point alone is drawn as a short line.
        drawn += joined ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h.8`;
        before = at;
    }
    return drawn;
}

/** A chart of one or several lines, with a scale from 0; `format` makes a value a text with its unit. */
export function chart(place, lines, format) {
    const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    svg.append(shape("path", { class: "axis", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }));
    const paths = lines.map(({ kind }) => shape("path", { class: `line ${kind}`, "vector-effect": "non-scaling-stroke" }));
    svg.append(...paths);
    const top = document.createElement("span");
    const from = document.createElement("span");
    const scale = document.createElement("div");
    scale.className = "scale";
    scale.append(from, top);
    place.replaceChildren(svg, scale);
    const points = lines.map(() => []);
    return (at, values) => {
        values.forEach((value, line) => {
            points[line].push([at, value]);
            while (points[line][0][0] < at - SPAN * 1000) points[line].shift();
        });
        const finite = points.flat().map(([, value]) => value).filter((value) => value !== null && value !== Infinity);
        const most = Math.max(...finite, 0);
        const since = points[0][0][0];
        from.textContent = at - since < (SPAN - 5) * 1000 ? `since ${clock(new Date(performance.timeOrigin + since))}` : "5 min";
        top.textContent = finite.length ? `highest ${text(format(most))}` : "no data";
        paths.forEach((element, line) => element.setAttribute("d", path(points[line], at, most || 1)));
        const told = lines.map(({ label }, line) => {
            const value = points[line].at(-1)[1];
            return `${label} ${value === null ? "no data" : text(format(value))}`;
        });
        svg.setAttribute("aria-label", `The last five minutes: ${told.join(", ")}, ${top.textContent}.`);
    };
}
