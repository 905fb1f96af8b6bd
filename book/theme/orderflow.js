// How it stands with OrderFlow, and requests to it, on the pages about it. Only where `cargo xtask start` serves the book;
// elsewhere the pages keep what they say without scripts.
(() => {
    "use strict";

    if (!document.documentElement.dataset.live) return;

    const parts = new Set();
    let orderflow = null;
    /// The address that the page's commands name.
    let shown = "127.0.0.1:8080";

    const make = (name, className, ...content) => {
        const element = document.createElement(name);
        if (className) element.className = className;
        element.append(...content);
        return element;
    };
    const link = (to, words) => {
        const element = make("a", "", words);
        element.href = to;
        return element;
    };

    const WORDS = {
        building: () => ["OrderFlow is being built. The first time that takes some minutes; you can read on, and this line will change."],
        starting: () => ["OrderFlow is starting."],
        ready: () => ["OrderFlow answers at ", link(`http://${orderflow.address}/api/products`, orderflow.address), ", and ", link("/orderflow/docs", "its API page"), " lets you try every route."],
        failed: () => [`OrderFlow does not run: ${orderflow.why.split("\n")[0].replaceAll("`", "")}`],
    };

    class State extends HTMLElement {
        connectedCallback() { this.before_ = [...this.childNodes]; parts.add(this); this.show(); }

        disconnectedCallback() { parts.delete(this); }

        show() {
            if (!orderflow) { this.replaceChildren(...this.before_); return; }
            const line = this.querySelector(".orderflow-line") ?? make("p");
            line.className = `orderflow-line is-${orderflow.state}`;
            line.setAttribute("role", "status");
            line.replaceChildren(...WORDS[orderflow.state]());
            const last = orderflow.why?.split("\n").slice(1).join("\n");
            this.replaceChildren(line, ...(last ? [box("What it said last", last)] : []));
        }
    }

    const box = (label, text) => {
        const element = make("pre", "answer", text);
        element.tabIndex = 0;
        element.setAttribute("aria-label", label);
        return element;
    };

    const pretty = (text) => {
        try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
    };

    // Beside a command that only reads: a button that sends the same request by way of the book's own address.
    class Try extends HTMLElement {
        connectedCallback() {
            this.path ??= this.querySelector("code")?.textContent.match(/http:\/\/[\d.]+:\d+(\/[^\s'"]*)/)?.[1];
            if (!this.path || this.bar) return;
            this.button = this.action("Try it", () => this.send({}));
            this.button.setAttribute("aria-label", `Try it: GET ${this.path}`);
            this.again = this.action("Ask again with this ETag", () => this.send({ "If-None-Match": this.tag }));
            this.again.hidden = true;
            this.result = make("div", "result");
            this.result.setAttribute("aria-live", "polite");
            this.bar = make("div", "try", make("div", "try-actions", this.button, this.again), this.result);
            this.append(this.bar);
            parts.add(this);
            this.show();
        }

        disconnectedCallback() { parts.delete(this); }

        show() { this.bar.hidden = !orderflow; }

        action(words, act) {
            const button = make("button", "", words);
            button.type = "button";
            button.addEventListener("click", act);
            return button;
        }

        async send(headers) {
            this.result.setAttribute("aria-busy", "true");
            try {
                const began = performance.now();
                const response = await fetch(`/orderflow${this.path}`, { headers, cache: "no-store" });
                const text = await response.text();
                const took = performance.now() - began;
                this.tag = response.headers.get("etag");
                this.again.hidden = !this.tag;
                const fields = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
                this.result.replaceChildren(
                    make("p", "", make("b", "", `${response.status} ${response.statusText}`), ` after ${took.toFixed(took < 10 ? 1 : 0)} ms`),
                    box("Headers of the answer", fields),
                    text ? box("Body of the answer", pretty(text)) : make("p", "", "The body is empty."));
            } catch (error) {
                this.result.replaceChildren(make("p", "", `No answer came: ${error.message}. Does \`cargo xtask start\` still run?`));
            } finally {
                this.result.removeAttribute("aria-busy");
            }
        }
    }

    customElements.define("orderflow-state", State);
    customElements.define("orderflow-try", Try);

    // Where the usual port was taken, the commands name the one that was free, so that they work as they are shown.
    const readdress = () => {
        if (orderflow?.state !== "ready" || orderflow.address === shown || !document.querySelector("orderflow-state")) return;
        for (const code of document.querySelectorAll("main code.language-console")) {
            const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(shown, orderflow.address);
        }
        shown = orderflow.address;
    };

    document.addEventListener("course-status", (event) => {
        const now = event.detail.orderflow ?? null;
        if (JSON.stringify(now) === JSON.stringify(orderflow)) return;
        orderflow = now;
        for (const part of parts) part.show();
        readdress();
    });
})();
