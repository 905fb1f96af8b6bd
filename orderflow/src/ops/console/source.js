// Asks the service, with a limit of time.

import { parse } from "./openmetrics.js";

const PATIENCE = 5_000;

/** There is no answer, or none that helps. The message is for people. */
export class Unanswered extends Error {}

/** What a refusal says: the problem document's words, or the status. */
export async function refusal(answer) {
    const document = await answer.json().catch(() => null);
    const said = document?.title && [document.title, document.detail].filter(Boolean).join(". ");
    return Object.assign(new Unanswered(said || `it answers with status ${answer.status}`), { status: answer.status });
}

async function ask(path, kind, accepts) {
    let answer;
    try {
        answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    } catch (error) {
        throw new Unanswered(error.name === "TimeoutError" ? `it took longer than ${PATIENCE / 1000} s` : "it cannot be reached");
    }
    if (!accepts(answer)) throw await refusal(answer);
    try {
        return await answer[kind]();
    } catch {
        throw new Unanswered("its answer ended early, or is not what was asked for");
    }
}

let before = Promise.resolve();

/** Asks when the question before was answered or given up: a service in trouble has one of this page at a time. */
function inTurn(path, kind, accepts = ({ ok }) => ok) {
    const mine = before.then(() => ask(path, kind, accepts));
    before = mine.catch(() => {});
    return mine;
}

/** The numbers of this moment. `at` is on the page's own clock, which nobody sets back; `wall` is the time of day. */
export async function scrape() {
    const text = await inTurn("metrics", "text");
    return { samples: parse(text), at: performance.now(), wall: Date.now(), bytes: text.length };
}

/** The report of the probe, which is a report also where the service is not ready. */
export async function health() {
    const report = await inTurn("healthz", "json", ({ status }) => status === 200 || status === 503);
    if (typeof report.ready !== "boolean") throw new Unanswered("it does not tell how it is");
    return report;
}

export const json = (path) => inTurn(path, "json");
