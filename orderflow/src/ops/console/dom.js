// Elements of the page. What has not changed is not touched.

import { text as join } from "./format.js";

/** An element, `tag.class`, with attributes (or listeners, by functions) and children. */
export function h(kind, attributes = {}, ...children) {
    const [tag, ...classes] = kind.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name, value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

export const $ = (id) => document.getElementById(id);

export function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/** Shows a text with its unit; what is null is said to be unknown. */
export function show(element, value, unknown = "no data") {
    const shown = value === null ? unknown : join(value);
    if (element.dataset.shown === shown) return;
    element.dataset.shown = shown;
    element.classList.toggle("unknown", value === null);
    if (value === null) return void element.replaceChildren(unknown);
    const [number, unit] = value;
    element.replaceChildren(number, ...(unit ? [h("span.unit", {}, unit === "/s" || unit === "%" ? unit : ` ${unit}`)] : []));
}

/** A link to a trace. */
export function traceLink(id, text) {
    return h("a", { href: `#trace=${id}` }, text);
}
