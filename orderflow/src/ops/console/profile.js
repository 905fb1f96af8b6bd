// A profile on request: where the processor's time goes, or who holds memory.

import { $, h, say } from "./dom.js";
import { bytes } from "./format.js";
import { refusal } from "./source.js";

export function profile(limits) {
    const [form, progress, picture] = [$("take"), $("progress"), $("picture")];
    const { seconds } = form.elements;
    const longest = Math.floor(limits.max_profile_seconds);
    seconds.max = longest;
    seconds.value = Math.min(10, longest);
    let [taking, shown] = [null, null];

    function offer(now) {
        $("take-cpu").disabled = $("take-heap").disabled = !now;
        $("cancel").hidden = now;
    }
    offer(true);

    function end(said) {
        taking = null;
        progress.hidden = true;
        offer(true);
        say($("profile-said"), said);
    }

    function draw(svg, kind) {
        if (shown) URL.revokeObjectURL(shown);
        shown = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
        const image = h("img", { src: shown, alt: `Flamegraph of ${kind}. The saved file has the name and share of each function as text.` });
        const save = h("a", { href: shown, download: `orderflow-${kind === "memory" ? "heap" : "cpu"}.svg` }, `Save it (${bytes(svg.size).join(" ")})`);
        picture.replaceChildren(
            h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Flamegraph" }, image),
            h("p", {}, save, "; in a browser, the saved file can be zoomed and searched."));
    }

    async function take(path, kind, length) {
        const abort = new AbortController();
        const began = performance.now();
        taking = abort;
        offer(false);
        progress.hidden = false;
        progress.max = length || 1;
        if (length) progress.value = 0;
        else progress.removeAttribute("value");
        say($("profile-said"), length ? `Taking samples for ${length} s.` : "Asking for it.");
        const tick = setInterval(() => length && (progress.value = Math.min((performance.now() - began) / 1000, length)), 250);
        // Samples are put together after they were taken, which takes a while too.
        const late = setTimeout(() => abort.abort("late"), (length + 60) * 1000);
        try {
            const answer = await fetch(path, { signal: abort.signal, cache: "no-store" });
            if (!answer.ok) throw await refusal(answer);
            draw(await answer.blob(), kind);
            end("Done.");
        } catch (error) {
            if (abort.signal.aborted) end(abort.signal.reason === "late" ? "It took too long." : "Cancelled.");
            else if (error.status === 409) end("Another profile is being taken. One at a time: try again when that one is done.");
            else if (error.status) end(`There is none: ${error.message}`);
            else end("The service cannot be reached.");
        } finally {
            clearInterval(tick);
            clearTimeout(late);
        }
    }

    form.addEventListener("submit", (event) => {
        event.preventDefault();
        const length = Number(seconds.value);
        if (!taking) take(`debug/profile?seconds=${length}&format=svg`, "processor time", length);
    });
    $("take-heap").addEventListener("click", () => taking ?? take("debug/heap?format=svg", "memory", 0));
    $("cancel").addEventListener("click", () => taking?.abort());
}
