// From the text of /metrics to samples. A series has the same head in each scrape, so heads are taken apart once.

const LINE = /^([a-zA-Z_:][\w:]*)(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})? (\S+)(?: [^#\s]\S*)?(?: # (\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}) (\S+)(?: (\S+))?)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { n: "\n", '"': '"', "\\": "\\" };

function labels(text) {
    const found = {};
    for (const [, name, value] of (text ?? "").matchAll(LABEL)) {
        found[name] = value.replace(/\\(.)/g, (_, escaped) => ESCAPES[escaped] ?? escaped);
    }
    return found;
}

const number = (text) => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

// More series than a service has: whatever comes, memory has a bound.
const MOST = 50_000;
let heads = new Map();

function series(name, text = "") {
    const head = name + text;
    let known = heads.get(head);
    if (!known) {
        if (heads.size >= MOST) heads = new Map();
        known = { name, head, labels: labels(text) };
        heads.set(head, known);
    }
    return known;
}

/** The samples of a text, by their names. */
export function parse(text) {
    const samples = new Map();
    for (const line of text.split("\n")) {
        if (line.startsWith("#")) continue;
        const [, name, head, value, exemplar, seen, at] = LINE.exec(line) ?? [];
        if (!name) continue;
        const sample = { series: series(name, head), value: number(value) };
        if (exemplar) sample.exemplar = { labels: labels(exemplar), value: number(seen), at: at ? number(at) : null };
        if (!samples.has(name)) samples.set(name, []);
        samples.get(name).push(sample);
    }
    return samples;
}
