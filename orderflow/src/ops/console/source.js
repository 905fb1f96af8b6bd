// Asks the service, with a limit of time. Whatever goes wrong is an Error whose message is for people.

import { parse } from "./openmetrics.js";

const PATIENCE = 5_000;

/** What a refusal says: the problem document's words, or the status. */
export async function refusal(answer) {
    const document = await answer.json().catch(() => null);
    const said = document?.title && [document.title, document.detail].filter(Boolean).join(". ");
    return Object.assign(new Error(said || `it answers with status ${answer.status}`), { status: answer.status });
}

async function ask(path, accepts = (answer) => answer.ok) {
    let answer;
    try {
        answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    } catch (error) {
        throw new Error(error.name === "TimeoutError" ? `it took longer than ${PATIENCE / 1000} s` : "it cannot be reached");
    }
    if (!accepts(answer)) throw await refusal(answer);
    return answer;
}

async function body(answer, kind) {
    try {
        return await answer[kind]();
    } catch {
        throw new Error("its answer ended early");
    }
}

/** The numbers of this moment. `at` is on the page's own clock, which nobody sets back; `wall` is the time of day. */
export async function scrape() {
    const began = performance.now();
    const text = await body(await ask("metrics"), "text");
    const at = performance.now();
    return { ...parse(text), at, wall: Date.now(), seconds: (at - began) / 1000, bytes: text.length };
}

/** The report of the probe, which is a report also where the service is not ready. */
export async function health() {
    const report = await body(await ask("healthz", ({ status }) => status === 200 || status === 503), "json");
    if (typeof report.ready !== "boolean") throw new Error("it does not tell how it is");
    return report;
}

export async function json(path) {
    return body(await ask(path), "json");
}
