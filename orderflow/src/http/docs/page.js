// Shows the OpenAPI description that the service gives of itself, and sends requests for whoever wants to try them.
// Addresses are relative to the page's own, so that it works behind a proxy's prefix too.
(() => {
    "use strict";

    const base = new URL("./", location.href);
    const KEY = "orderflow-api-key";
    const METHODS = ["get", "post", "put", "patch", "delete"];
    let api;

    const make = (name, attributes = {}, ...children) => {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(attributes)) {
            if (value === true) element.setAttribute(key, "");
            else if (value !== false && value !== undefined) element.setAttribute(key, value);
        }
        element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
        return element;
    };

    // Words between backticks as code.
    const prose = (text = "") => text.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
    const paragraphs = (text) => (text ?? "").split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, prose(part)));
    const number = (value) => (typeof value === "number" ? value.toLocaleString("en") : String(value));

    // A schema with its references followed. What is said beside a reference goes before what is said behind it.
    const resolve = (schema = {}) => {
        const { $ref, oneOf, anyOf, allOf, ...own } = schema;
        if ($ref) {
            const target = $ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
            return { ...resolve(target), ...own };
        }
        const options = oneOf ?? anyOf;
        if (options) {
            const real = options.filter((option) => option.type !== "null");
            if (real.length === 1) return { ...resolve(real[0]), ...own, nullable: real.length < options.length };
            return { ...own, options: real };
        }
        if (allOf) return allOf.map(resolve).reduce((all, part) => ({ ...all, ...part, properties: { ...all.properties, ...part.properties } }), own);
        if (Array.isArray(own.type)) {
            const real = own.type.filter((type) => type !== "null");
            return { ...own, type: real.join(" or "), nullable: real.length < own.type.length };
        }
        return own;
    };

    const typeOf = (schema) => {
        const { type, format, items, nullable, enum: words, options } = schema;
        const kind = { date: "date", "date-time": "moment, UTC" }[format];
        let name = kind ?? (options ? options.map((option) => typeOf(resolve(option))).join(" or ") : type ?? "any");
        if (type === "array") name = `list of ${resolve(items).type === "object" ? "objects" : `${typeOf(resolve(items))}s`}`;
        if (type === "integer" && format === "int64") name = "integer, 64-bit";
        if (words) name = "word";
        return nullable ? `${name}, or null` : name;
    };

    const limits = (schema) => {
        const range = (least, most, unit) => {
            if (least === undefined && most === undefined) return null;
            if (most === undefined) return `${number(least)} or more${unit}`;
            return least === undefined ? `at most ${number(most)}${unit}` : `${number(least)} to ${number(most)}${unit}`;
        };
        const found = [
            schema.enum && `one of ${schema.enum.map((word) => `\`${word}\``).join(", ")}`,
            range(schema.minimum, schema.maximum, ""),
            range(schema.minLength, schema.maxLength, " characters"),
            range(schema.minItems, schema.maxItems, " items"),
            schema.pattern && `matches \`${schema.pattern}\``,
            schema.default !== undefined && `\`${schema.default}\` unless given`,
        ];
        return found.filter(Boolean).join("; ");
    };

    const example = (given, depth = 0) => {
        const schema = resolve(given);
        const said = schema.example ?? schema.examples?.[0] ?? schema.default;
        if (said !== undefined) return said;
        if (schema.enum) return schema.enum[0];
        if (schema.options) return example(schema.options[0], depth);
        switch (schema.type) {
            case "object": return depth > 6 ? {} : Object.fromEntries(parts(schema).map(([name, part]) => [name, example(part, depth + 1)]));
            case "array": return depth > 6 ? [] : [example(schema.items, depth + 1)];
            case "integer": case "number": return schema.minimum ?? 1;
            case "boolean": return true;
            case "string": return "text";
            default: return null;
        }
    };

    // In the order in which the service writes them, as far as the description says it.
    const parts = ({ properties = {}, required = [] }) => {
        const place = (name) => (required.includes(name) ? required.indexOf(name) : required.length);
        return Object.entries(properties).sort(([a], [b]) => place(a) - place(b));
    };

    // One row for each field, those of inner objects under their paths.
    const rows = (given, path = "", required = true, depth = 0) => {
        const schema = resolve(given);
        const inner = schema.type === "array" ? resolve(schema.items) : schema;
        const below = inner.type === "object" && depth < 6 ? parts(inner) : [];
        const under = schema.type === "array" ? `${path}[]` : path;
        const own = path ? [{ path, schema, required }] : [];
        return [...own, ...below.flatMap(([name, part]) => rows(part, under ? `${under}.${name}` : name, inner.required?.includes(name) ?? false, depth + 1))];
    };

    // A narrow window shows each row as a block, which takes a table's roles away unless they are written out.
    const table = (label, columns, body) => make("div", { class: "scroll", role: "group", "aria-label": label, tabindex: "0" },
        make("table", { role: "table" },
            make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, columns.map((name) => make("th", { scope: "col", role: "columnheader" }, name)))),
            make("tbody", { role: "rowgroup" }, body)));

    const fields = (label, schema, written) => table(label, ["Field", "Type", "Meaning"], rows(schema).map((row) => make("tr", { role: "row" },
        make("th", { scope: "row", role: "rowheader" }, make("code", {}, row.path), !row.required && (written || !row.schema.nullable) && make("span", { class: "badge" }, written ? "optional" : "may be absent")),
        make("td", { role: "cell" }, typeOf(row.schema)),
        make("td", { role: "cell" }, meaning(row.schema)))));

    const meaning = (schema, about = schema.description) => {
        const bounds = limits(schema);
        return [...prose(about ?? ""), bounds && make("span", { class: "muted" }, ...prose(` ${bounds[0].toUpperCase()}${bounds.slice(1)}.`))];
    };

    const parameters = (list) => table("Parameters", ["Parameter", "Type", "Meaning"], list.map((parameter) => {
        const schema = resolve(parameter.schema);
        const shown = parameter.example ?? schema.example;
        return make("tr", { role: "row" },
            make("th", { scope: "row", role: "rowheader" }, make("code", {}, parameter.name), make("span", { class: "badge" }, `${parameter.in}${parameter.required ? "" : ", optional"}`)),
            make("td", { role: "cell" }, typeOf({ ...schema, nullable: false })),
            make("td", { role: "cell" }, meaning(schema, parameter.description), shown === undefined ? null : [" Example: ", make("code", {}, String(shown))]));
    }));

    const jsonOf = (content = {}) => Object.entries(content).find(([type]) => type.includes("json") || type === "text/event-stream")?.[1];

    const responses = (operation) => Object.entries(operation.responses).map(([status, response]) => {
        const headers = Object.entries(response.headers ?? {});
        const body = jsonOf(response.content);
        const kinds = response["x-problems"];
        const line = [make("span", { class: "status" }, status), " "];
        if (kinds) return make("p", {}, line, kinds.flatMap((word, i) => [i ? ", " : "", make("a", { href: `#${word}` }, word)]));
        return make("div", {},
            make("p", {}, line, prose(response.description)),
            headers.length > 0 && make("ul", {}, headers.map(([name, header]) => make("li", {}, make("code", {}, name), ": ", prose(header.description)))),
            body && make("details", { open: status[0] === "2" }, make("summary", {}, "Body"), fields(`Body of a ${status}`, body.schema, false)));
    });

    const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const curl = (method, url, headers, body) => [
        `curl -i${method === "GET" ? "" : ` -X ${method}`} ${quoted(url)}`,
        ...Object.entries(headers).map(([name, value]) => (name === "Authorization" ? '-H "Authorization: Bearer $KEY"' : `-H ${quoted(`${name}: ${value}`)}`)),
        ...(body === undefined ? [] : [`-d ${quoted(body)}`]),
    ].join(" \\\n    ");

    const pretty = (text) => {
        try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
    };

    const block = (label, text, wrap) => [make("h5", { class: "muted" }, label), make("pre", { tabindex: "0", "aria-label": label, class: wrap ? "wrap" : "" }, text)];

    // A stream has no end: what it says within some seconds is shown.
    const EVENTS_WAIT = 10_000;
    const isStream = (response) => (response.headers.get("content-type") ?? "").startsWith("text/event-stream");
    const first = async (response, wait) => {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const timer = setTimeout(() => reader.cancel(), wait);
        let text = "";
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            text += value;
        }
        clearTimeout(timer);
        return text;
    };

    // Sends what a form says and shows everything that comes back.
    const send = async (form, method, path, secured, result) => {
        const headers = {};
        const query = new URLSearchParams();
        for (const field of form.querySelectorAll("[data-in]")) {
            const { in: place, name } = field.dataset;
            if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(field.value));
            else if (field.value !== "" && place === "query") query.append(name, field.value);
            else if (field.value !== "" && place === "header") headers[name] = field.value;
        }
        const body = form.querySelector("textarea")?.value;
        if (body !== undefined) headers["Content-Type"] = "application/json";
        const key = document.getElementById("key-field").value.trim();
        if (secured && key) headers.Authorization = `Bearer ${key}`;
        const url = new URL(path.slice(1) + (query.size ? `?${query}` : ""), base).href;
        const button = form.querySelector("button");
        button.disabled = true;
        try {
            const began = performance.now();
            const response = await fetch(url, { method, headers, body, cache: "no-store", redirect: "manual" });
            const text = await (isStream(response) ? first(response, EVENTS_WAIT) : response.text());
            const took = performance.now() - began;
            result.replaceChildren(
                make("p", {}, make("span", { class: "status" }, `${response.status} ${response.statusText}`), ` after ${took.toFixed(took < 10 ? 1 : 0)} ms`),
                ...block("Headers", [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n"), true),
                ...(text ? block("Body", pretty(text)) : [make("p", { class: "muted" }, "The body is empty.")]),
                ...block("The same with curl", curl(method, url, headers, body), true));
        } catch (error) {
            result.replaceChildren(make("p", {}, `No answer came: ${error.message}. Is the service still running?`));
        } finally {
            button.disabled = false;
            if (document.activeElement === document.body) button.focus({ preventScroll: true });
        }
    };

    const input = (id, parameter) => {
        const schema = resolve(parameter.schema);
        const shared = { id, "data-in": parameter.in, "data-name": parameter.name };
        const control = schema.enum
            ? make("select", shared, make("option", { value: "" }, parameter.required ? "choose" : "any"), schema.enum.map((word) => make("option", {}, word)))
            : make("input", { ...shared, type: "text", autocomplete: "off", spellcheck: "false", required: parameter.in === "path", inputmode: schema.type === "integer" ? "numeric" : undefined });
        if (parameter.in === "path") control.value = String(parameter.example ?? example(schema));
        return make("div", {}, make("label", { for: id }, parameter.name), control);
    };

    const attempt = (id, method, path, operation) => {
        const secured = (operation.security ?? []).some((scheme) => Object.keys(scheme).length);
        const list = operation.parameters ?? [];
        const body = jsonOf(operation.requestBody?.content);
        const result = make("div", { class: "result", "aria-live": "polite" });
        const form = make("form", { "aria-label": `Try ${method} ${path}` },
            list.map((parameter, i) => input(`${id}-${i}`, parameter)),
            body && make("div", {}, make("label", { for: `${id}-body` }, "Body, JSON"), make("textarea", { id: `${id}-body`, spellcheck: "false" }, JSON.stringify(example(body.schema), null, 2))),
            secured && make("p", { class: "muted" }, "Needs an API key, in the field at ", make("a", { href: "#key-field" }, "the top of the page"), "."),
            make("button", { type: "submit" }, "Send"));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            send(form, method, path, secured, result);
        });
        return make("div", { class: "try" }, make("h4", {}, "Try it"), form, result);
    };

    const heading = (method, path) => [make("span", { class: `method ${method}` }, method), make("code", {}, path)];

    const operations = () => Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method])
        .map((method) => ({ path, method: method.toUpperCase(), operation: item[method], id: `${method}-${path.replace(/[^a-z]+/gi, "-").replace(/^-|-$/g, "")}` })));

    const describe = ({ id, method, path, operation }) => {
        const list = operation.parameters ?? [];
        const body = jsonOf(operation.requestBody?.content);
        return make("section", { class: "operation", "aria-labelledby": id },
            make("h3", { id, tabindex: "-1" }, heading(method, path)),
            make("div", { class: "about" }, paragraphs(operation.summary), paragraphs(operation.description)),
            make("div", {},
                list.length > 0 && [make("h4", {}, "Parameters"), parameters(list)],
                body && [make("h4", {}, "Request body"), ...paragraphs(resolve(body.schema).description), fields("Request body", body.schema, true)],
                make("h4", {}, "Answers"), responses(operation)),
            attempt(id, method, path, operation));
    };

    const problems = () => {
        const document_ = api.components?.schemas?.Problem;
        const kinds = api["x-problems"] ?? [];
        return make("section", { "aria-labelledby": "problems" },
            make("h2", { id: "problems", tabindex: "-1" }, "Problems"),
            make("p", {}, "Whatever fails is answered by a problem document, whose ", make("code", {}, "type"), " leads to one of these."),
            document_ && fields("A problem document", document_, false),
            kinds.map((kind) => make("section", { class: "problem", id: kind.word, tabindex: "-1", "aria-labelledby": `${kind.word}-title` },
                make("h3", { id: `${kind.word}-title` }, kind.title),
                make("p", {}, make("span", { class: "status" }, String(kind.status)), " ", make("code", {}, kind.word), ". ", prose(kind.meaning)))));
    };

    const contents = (groups) => [
        ...groups.flatMap(({ tag, list }) => [make("p", {}, tag.name), make("ul", {}, list.map(({ id, method, path }) => make("li", {}, make("a", { href: `#${id}` }, heading(method, path)))))]),
        make("p", {}, make("a", { href: "#problems" }, "Problems")),
    ];

    // What an address's fragment names exists only now.
    const arrive = () => {
        const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
        if (!target) return;
        target.scrollIntoView();
        target.focus({ preventScroll: true });
    };

    const show = () => {
        const all = operations();
        const tags = [...(api.tags ?? [])];
        const ofTag = (name) => all.filter(({ operation }) => (operation.tags?.[0] ?? "other") === name);
        for (const { operation } of all) {
            const name = operation.tags?.[0] ?? "other";
            if (!tags.some((tag) => tag.name === name)) tags.push({ name });
        }
        const groups = tags.map((tag) => ({ tag, list: ofTag(tag.name) })).filter(({ list }) => list.length);
        document.getElementById("title").append(" ", make("span", { class: "muted" }, api.info.version));
        document.getElementById("about").append(...prose(api.info.description));
        document.getElementById("content").append(
            ...groups.map(({ tag, list }) => make("section", { "aria-labelledby": `tag-${tag.name}` },
                make("h2", { id: `tag-${tag.name}` }, tag.name[0].toUpperCase() + tag.name.slice(1)), paragraphs(tag.description), list.map(describe))),
            problems());
        const nav = document.getElementById("contents");
        nav.append(...contents(groups));
        nav.hidden = document.getElementById("key").hidden = false;
        // `:target` looks at the fragment when it changes, not when what it names appears.
        if (location.hash) { const { hash } = location; location.replace("#"); location.replace(hash); arrive(); }
        addEventListener("hashchange", arrive);
    };

    const start = async () => {
        const field = document.getElementById("key-field");
        field.value = sessionStorage.getItem(KEY) ?? "";
        field.addEventListener("input", () => sessionStorage.setItem(KEY, field.value.trim()));
        document.getElementById("key").addEventListener("submit", (event) => event.preventDefault());
        const state = document.getElementById("state");
        state.textContent = "Reading the description.";
        try {
            const response = await fetch(new URL("api/openapi.json", base));
            if (!response.ok) throw new Error(`the service answered ${response.status}`);
            api = await response.json();
            show();
            state.textContent = "";
        } catch (error) {
            state.textContent = `The description cannot be shown: ${error.message}. Reload the page to try again.`;
        }
    };

    start();
})();
