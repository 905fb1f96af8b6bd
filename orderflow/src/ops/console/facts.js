// Lists of facts, and tables that sort.

import { h, say, show } from "./dom.js";
import { maybe } from "./format.js";

/** What is told of something that is counted as it happens, and has not happened since the service started. */
export const NONE = "none yet";

/** A list of names and values. Each row is `[name, value, { unknown, level, part }]`, where `part` of 1 is drawn as a bar. */
export function facts(list) {
    let names = "";
    const cells = [];
    return (rows) => {
        const now = rows.map(([name]) => name).join("\n");
        if (now !== names) {
            names = now;
            cells.length = 0;
            list.replaceChildren(...rows.map(([name]) => {
                const value = h("dd");
                const bar = h("i.bar", { "aria-hidden": "true" });
                cells.push({ value, bar });
                return h("div", {}, h("dt", {}, name), value, bar);
            }));
        }
        rows.forEach(([, value, { unknown, level = "", part = null } = {}], at) => {
            const cell = cells[at];
            show(cell.value, value, unknown);
            if (cell.value.dataset.level !== level) cell.value.dataset.level = level;
            cell.bar.hidden = part === null;
            if (part !== null) cell.bar.style.setProperty("--part", Math.min(Math.max(part, 0), 1).toFixed(3));
        });
    };
}

/**
 * A table. Columns are `{ key, label, format, link }`: `format` makes a value a text with its unit, `link` an element of a
 * row. Rows are objects with a `key`. A click on a heading sorts; rows keep their elements, so that the focus stays.
 */
export function table(place, caption, columns, sorted, empty) {
    let [by, down] = sorted;
    let rows = [];
    const known = new Map();
    const headings = columns.map((column) => {
        const button = h("button", { type: "button", click: () => {
            down = by === column.key ? !down : column.format !== undefined;
            by = column.key;
            draw();
        } }, column.label);
        return h("th", { scope: "col", role: "columnheader" }, button);
    });
    const body = h("tbody", { role: "rowgroup" });
    const none = h("p.none", {}, empty);
    place.replaceChildren(
        h("table", { role: "table" }, h("caption", {}, caption),
            h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...headings)), body), none);

    function made(row) {
        const cells = columns.map(({ label, format }, at) =>
            h(at ? "td" : "th", { role: at ? "cell" : "rowheader", "data-label": label, scope: at ? null : "row", class: format ? "number" : null }));
        return { row: h("tr", { role: "row" }, ...cells), cells };
    }

    function order(a, b) {
        const [x, y] = [a[by] ?? null, b[by] ?? null];
        if (x === null || y === null) return (x === null) - (y === null);
        const sign = typeof x === "string" ? x.localeCompare(y) : x - y;
        return (down ? -sign : sign) || a.key.localeCompare(b.key);
    }

    function draw() {
        headings.forEach((heading, at) => {
            const sort = columns[at].key !== by ? "none" : down ? "descending" : "ascending";
            if (heading.getAttribute("aria-sort") !== sort) heading.setAttribute("aria-sort", sort);
        });
        rows.sort(order);
        for (const key of known.keys()) if (!rows.some((row) => row.key === key)) known.get(key).row.remove(), known.delete(key);
        rows.forEach((row, at) => {
            if (!known.has(row.key)) known.set(row.key, made(row));
            const { row: line, cells } = known.get(row.key);
            columns.forEach(({ key, format, link }, column) => {
                const cell = cells[column];
                if (link) {
                    const [id, made] = link(row);
                    if (cell.dataset.shown !== id) cell.replaceChildren(made()), cell.dataset.shown = id;
                } else if (format) show(cell, maybe(row[key], format), "–");
                else say(cell, row[key]);
            });
            if (body.children[at] !== line) body.insertBefore(line, body.children[at] ?? null);
        });
        none.hidden = rows.length > 0;
        place.firstChild.hidden = rows.length === 0;
    }
    draw();
    return (now) => {
        rows = [...now];
        draw();
    };
}
