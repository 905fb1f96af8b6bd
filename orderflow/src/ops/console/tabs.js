// Four tabs, and the address that says which one is open, and which trace.

import { $ } from "./dom.js";

const NAMES = ["overview", "traces", "inside", "profile"];

/** `opened` is told the name of the tab, and of the trace that is open in it, each time that the address changes. */
export function tabs(opened) {
    const tab = (name) => $(`tab-${name}`);

    function select(name) {
        for (const other of NAMES) {
            const chosen = other === name;
            tab(other).setAttribute("aria-selected", String(chosen));
            tab(other).tabIndex = chosen ? 0 : -1;
            $(`panel-${other}`).hidden = !chosen;
        }
    }

    function follow() {
        const address = location.hash.slice(1);
        const trace = /^trace=([0-9a-f]{32})$/i.exec(address)?.[1].toLowerCase() ?? null;
        const name = trace ? "traces" : NAMES.includes(address) ? address : "overview";
        select(name);
        opened(name, trace);
    }

    for (const name of NAMES) {
        tab(name).addEventListener("click", () => {
            history.replaceState(null, "", `#${name}`);
            follow();
        });
    }
    $("tabs").addEventListener("keydown", (event) => {
        const at = NAMES.findIndex((name) => tab(name) === document.activeElement);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = tab(NAMES.at(to % NAMES.length));
        next.focus();
        next.click();
    });
    // The skip link leads to the contents of whatever is open.
    addEventListener("hashchange", () => location.hash !== "#main" && follow());
    follow();
}
