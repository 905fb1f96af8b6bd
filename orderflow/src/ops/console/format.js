// Numbers as people read them. What is not known is `null` and has no text of its own here.

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** Three digits that matter, more before the point if there are more. */
export function digits(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size >= 99.95) return GROUPED.format(value);
    if (size < 0.01) return value.toPrecision(1);
    return String(Number(value.toFixed(size >= 9.995 ? 1 : 2)));
}

/** A text and its unit. */
export function duration(seconds) {
    if (seconds === Infinity) return ["> 10", "s"];
    if (seconds === 0) return ["0", "s"];
    if (seconds < 0.0009995) return [digits(seconds * 1e6), "µs"];
    if (seconds < 0.9995) return [digits(seconds * 1e3), "ms"];
    return [digits(seconds), "s"];
}

export const rate = (value) => [digits(value), "/s"];
export const count = (value) => [GROUPED.format(value), ""];
export const few = (value) => [digits(value), ""];
export const percent = (part) => [part > 0 && part < 0.0001 ? "< 0.01" : digits(part * 100), "%"];

export function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (value >= 1024 && at < units.length - 1) {
        value /= 1024;
        at += 1;
    }
    return [digits(value), units[at]];
}

/** How long ago, or for how long: one unit, or two. */
export function span(seconds) {
    const [s, m, h, d] = [Math.floor(seconds), seconds / 60, seconds / 3600, seconds / 86400].map(Math.floor);
    if (d) return `${d} d ${h % 24} h`;
    if (h) return `${h} h ${m % 60} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
}

export const clock = (date) => CLOCK.format(date);
/** What is known, in a format; what is not stays null. */
export const maybe = (value, format) => (value === null ? null : format(value));
export const text = ([value, unit]) => (unit ? `${value} ${unit}` : value);
