// The console: asks the service for what everybody may see, one question at a time, and shows it.

import { $, say } from "./dom.js";
import { clock, span } from "./format.js";
import { History } from "./history.js";
import { dependencies, inside, slowStatements } from "./inside.js";
import { profile } from "./profile.js";
import { routes } from "./routes.js";
import { signals } from "./signals.js";
import { Unanswered, health, json, scrape } from "./source.js";
import { tabs } from "./tabs.js";
import { traces } from "./traces.js";
import { vitals } from "./vitals.js";

/** Milliseconds between two looks, and what they grow to while nobody answers. */
const EVERY = 2_000;
const SLOWEST = 8_000;

const history = new History(300);
const state = { tab: "overview", paused: false, lastSeen: null, failed: 0, turn: 0, why: "" };
const traceList = traces();
let panels = null;

/** Builds what needs the limits of the service, which it tells once. */
async function settle() {
    const limits = await json("console/limits");
    say($("service"), `${limits.service} · ${limits.environment}`);
    const slow = slowStatements(limits.slow_statement_ms);
    profile(limits);
    panels = { signals: signals(limits), routes: routes(), inside: inside(), dependencies: dependencies(), slow };
    $("uncounted").hidden = limits.metrics;
    $("untraced").hidden = limits.traces;
}

function answered() {
    if (state.failed) say($("notice"), "The service answers again.");
    state.failed = 0;
    state.lastSeen = Date.now();
    document.body.classList.remove("stale");
    $("stale").hidden = true;
    say($("seen"), clock(new Date()));
}

function told(why) {
    if (!state.failed) say($("notice"), `The service does not answer: ${why}.`);
    state.failed += 1;
    state.why = why;
    document.body.classList.add("stale");
    $("stale").hidden = false;
    age();
}

/** How old the values are, while they are old. Not for screen readers, which were told once. */
function age() {
    if (!state.failed) return;
    const since = state.lastSeen === null
        ? "It has not answered since this page was opened."
        : `Last answer at ${clock(new Date(state.lastSeen))}, ${span((Date.now() - state.lastSeen) / 1000)} ago; what is shown is from then.`;
    say($("stale"), `No answer: ${state.why}. ${since}`);
}

function report(now) {
    const [word, level] = now.draining ? ["shutting down", "warn"] : now.ready ? ["ready", "good"] : ["not ready", "bad"];
    say($("ready"), word);
    $("ready").dataset.level = level;
    say($("about"), `${now.version}, up ${span(now.uptime_seconds)}`);
    panels.dependencies(now);
}

/** One look at the service. Each question waits for the answer to the one before. */
async function look() {
    const turn = state.turn++;
    if (!panels) await settle();
    const now = await scrape();
    const made = history.add(now);
    if (made?.restarted) say($("notice"), "The service has started anew.");
    panels.signals(history, made);
    // A table that nobody sees costs its reckoning for nothing.
    if (state.tab === "overview") panels.routes(history);
    if (state.tab === "inside") panels.inside(history);
    traceList.choices(now);
    if (turn % 2 === 0) report(await health());
    if (state.tab === "traces" && turn % 2 === 1) await traceList.follow();
    if (state.tab === "inside" && turn % 3 === 0) await statements();
}

/** Slow statements and traces are extras: where they cannot be had, the rest goes on. */
async function statements() {
    try {
        panels.slow((await json("debug/statements")).slow);
    } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        say($("no-slow-statements"), `They cannot be shown: ${error.message}.`);
    }
}

let timer = null;
let looking = false;

async function turn() {
    if (looking || state.paused || document.hidden) return;
    looking = true;
    clearTimeout(timer);
    const began = performance.now();
    try {
        await look();
        answered();
    } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        told(error.message);
    } finally {
        looking = false;
        again(began);
    }
}

function again(began) {
    const pause = Math.min(EVERY * 2 ** Math.max(state.failed - 1, 0), SLOWEST);
    // A slow answer is not followed at once by the next question.
    timer = setTimeout(turn, Math.max(pause - (performance.now() - began), pause / 2));
}

$("pause").addEventListener("click", ({ currentTarget }) => {
    state.paused = !state.paused;
    currentTarget.setAttribute("aria-pressed", String(state.paused));
    document.body.classList.toggle("paused", state.paused);
    if (!state.paused) turn();
});
document.addEventListener("visibilitychange", () => turn());
setInterval(age, 1_000);
vitals();
tabs((name, trace) => {
    state.tab = name;
    if (name === "traces") {
        traceList.go(trace);
        if (!trace) traceList.look();
    }
    if (!panels || !history.last) return;
    if (name === "overview") panels.routes(history);
    if (name === "inside") {
        panels.inside(history);
        statements();
    }
});
turn();
