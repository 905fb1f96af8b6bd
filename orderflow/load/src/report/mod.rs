//! An outcome as a page: one file, no script, nothing loaded from anywhere.

mod plot;

use plot::{Line, Plot, Scale};

use crate::{
    outcome::{Latency, Outcome, Point},
    table::{in_words, ms_text, rate},
};

/// The most points of a line: more than a screen has columns says nothing more.
const MAX_POINTS: usize = 1200;

/// The whole page.
pub fn html(outcome: &Outcome) -> String {
    let title = escape(&outcome.scenario);
    let verdict = if outcome.passed() { ("pass", "Thresholds passed") } else { ("fail", "A threshold failed") };
    let interrupted = if outcome.interrupted { ", interrupted" } else { "" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>Load: {title}</title><style>\n{}</style></head><body>\n<main>\n<h1>{title} <span \
         class=\"{}\">{}{interrupted}</span></h1>\n<p>{}</p>\n",
        include_str!("style.css"),
        verdict.0,
        verdict.1,
        escape(&outcome.description)
    );
    page.push_str(&format!(
        "<p class=\"faint\">{} for {:.1} s{}. {}. Seed {}, {} thread{}.</p>\n",
        escape(&outcome.target),
        outcome.seconds,
        if outcome.warmup_seconds > 0.0 {
            format!(" after {:.1} s of warm-up, which is in the plots over time only", outcome.warmup_seconds)
        } else {
            String::new()
        },
        capital(&escape(&outcome.model_in_words)),
        escape(&outcome.seed),
        outcome.threads,
        if outcome.threads == 1 { "" } else { "s" }
    ));
    if !outcome.warnings.is_empty() {
        let items: Vec<_> = outcome.warnings.iter().map(|warning| format!("<li>{}</li>", escape(warning))).collect();
        page.push_str(&format!("<ul class=\"warnings\">{}</ul>\n", items.concat()));
    }
    page.push_str(&figures(outcome));
    page.push_str("<h2>Plots</h2>\n<div class=\"plots\">\n");
    for plot in [over_time(outcome), throughput(outcome), distribution(outcome)] {
        page.push_str(&plot.html());
    }
    page.push_str("</div>\n<h2>Thresholds</h2>\n<ul>\n");
    for judged in &outcome.thresholds {
        let (class, word) = if judged.passed { ("pass", "pass") } else { ("fail", "FAIL") };
        page.push_str(&format!("<li><span class=\"{class}\">{word}</span> {}</li>\n", escape(&in_words(judged))));
    }
    page.push_str(
        "</ul>\n<h2>Routes</h2>\n<p class=\"faint\">Milliseconds. Times are of expected answers and time-outs; ",
    );
    page.push_str("other errors are counted, not timed.</p>\n");
    page.push_str(&routes(outcome));
    page.push_str("</main>\n</body></html>\n");
    page
}

fn figures(outcome: &Outcome) -> String {
    let timed = |ms: f64| if outcome.latency.count == 0 { "-".into() } else { format!("{} ms", ms_text(ms)) };
    let mut figures = vec![(format!("{} /s", rate(outcome.ok_per_second)), "answered as expected")];
    if let Some(offered) = outcome.offered_per_second {
        figures.push((format!("{} /s", rate(offered)), "offered by the schedule"));
    }
    figures.push((timed(outcome.latency.p50_ms), "p50"));
    figures.push((timed(outcome.latency.p99_ms), "p99"));
    figures.push((timed(outcome.latency.p99_9_ms), "p99.9"));
    let share = outcome.error_rate.map_or_else(|| "-".into(), |share| format!("{:.2} %", share * 100.0));
    figures.push((share, "errors and dropped"));
    if let Some(late) = outcome.generator.lateness_p99_ms {
        figures.push((format!("{} ms", ms_text(late)), "generator lateness p99"));
    }
    if let Some(cpu) = outcome.generator.cpu {
        figures.push((format!("{:.0} %", cpu * 100.0), "generator's processor"));
    }
    let items: Vec<_> = figures.iter().map(|(figure, name)| format!("<li><b>{figure}</b>{name}</li>")).collect();
    format!("<ul class=\"figures\">{}</ul>\n", items.concat())
}

/// Points of the series, thinned to what can be seen; the worst of those that are joined is kept.
fn thinned(points: &[Point]) -> Vec<Point> {
    let worst = |one: Option<f64>, other: Option<f64>| if one > other { one } else { other };
    let group = points.len().div_ceil(MAX_POINTS).max(1);
    let join = |group: &[Point]| {
        let n = group.len() as u64;
        let mut joined = Point { at: group[0].at, ..Point::default() };
        for point in group {
            joined.due += point.due;
            joined.sent += point.sent;
            joined.ok += point.ok;
            joined.p50_ms = worst(joined.p50_ms, point.p50_ms);
            joined.p99_ms = worst(joined.p99_ms, point.p99_ms);
            joined.max_ms = worst(joined.max_ms, point.max_ms);
        }
        joined.due /= n;
        joined.sent /= n;
        joined.ok /= n;
        joined
    };
    points.chunks(group).map(join).collect()
}

fn seconds(outcome: &Outcome) -> Scale {
    let series = &outcome.series;
    Scale::Linear { from: 0.0, to: (series.points.len() as u64 * series.point_seconds).max(1) as f64 }
}

fn over_time(outcome: &Outcome) -> Plot<'static> {
    let points = thinned(&outcome.series.points);
    let of = |get: fn(&Point) -> Option<f64>| points.iter().map(|point| (point.at as f64, get(point))).collect();
    let line = |name, colour, points| Line { name, colour, dashed: false, points };
    let all = points.iter().flat_map(|point| [point.p50_ms, point.max_ms]).flatten();
    let (least, most) = all.fold((f64::MAX, 0.0_f64), |(least, most), ms| (least.min(ms), most.max(ms)));
    let latency = &outcome.latency;
    let words = format!(
        "Over {:.0} seconds the median of each second and its 99th percentile and maximum. In all: median {} ms, 99th \
         percentile {} ms, longest {} ms.",
        outcome.planned_seconds,
        ms_text(latency.p50_ms),
        ms_text(latency.p99_ms),
        ms_text(latency.max_ms)
    );
    Plot {
        id: "time",
        title: "Latency over time",
        unit: "milliseconds, of answers in each second; logarithmic",
        words,
        across: "seconds from the start",
        x: seconds(outcome),
        y: if most > 0.0 { Scale::log(least, most) } else { Scale::log(1.0, 10.0) },
        named: Vec::new(),
        lines: vec![
            line("max", "max", of(|point| point.max_ms)),
            line("p99", "p99", of(|point| point.p99_ms)),
            line("p50", "p50", of(|point| point.p50_ms)),
        ],
    }
}

fn throughput(outcome: &Outcome) -> Plot<'static> {
    // A second that the run did not fill has no rate, and would look like a fall at the end.
    let length = outcome.series.point_seconds as f64;
    let end = if outcome.interrupted { outcome.warmup_seconds + outcome.seconds } else { outcome.planned_seconds };
    let whole = ((end / length + 1e-9) as usize).clamp(1, outcome.series.points.len().max(1));
    let points = thinned(outcome.series.points.get(..whole).unwrap_or_default());
    let of = |get: fn(&Point) -> u64| {
        points.iter().map(|point| (point.at as f64, Some(get(point) as f64 / length))).collect()
    };
    let open = outcome.offered_per_second.is_some();
    let (name, get): (_, fn(&Point) -> u64) =
        if open { ("due by the schedule", |point| point.due) } else { ("sent", |point| point.sent) };
    let most = points.iter().map(|point| get(point).max(point.ok)).max().unwrap_or(0) as f64 / length;
    let offered =
        outcome.offered_per_second.map_or_else(String::new, |offered| format!("{} a second were due, ", rate(offered)));
    Plot {
        id: "rate",
        title: if open { "Throughput against the schedule" } else { "Throughput" },
        unit: "a second",
        words: format!("{offered}{} a second were answered as expected, on average.", rate(outcome.ok_per_second)),
        across: "seconds from the start",
        x: seconds(outcome),
        y: Scale::up_to(most),
        named: Vec::new(),
        lines: vec![
            Line { name: "answered as expected", colour: "ok", dashed: false, points: of(|point| point.ok) },
            Line { name, colour: "due", dashed: true, points: of(get) },
        ],
    }
}

/// Latency by percentile, each nine as wide as the last: the tail is what most of the width is for.
fn distribution(outcome: &Outcome) -> Plot<'static> {
    // 1 / (1 - share), which a logarithm spreads evenly. What lies above the last recorded time is not known.
    let places = |latency: &Latency| {
        let most = latency.count.max(1) as f64;
        latency.distribution.iter().map(|[share, ms]| ((1.0 / (1.0 - share).max(1e-9)).min(most), Some(*ms))).collect()
    };
    let times = std::iter::once(&outcome.latency).chain(&outcome.service);
    let all = times.flat_map(|latency| latency.distribution.iter().map(|[_, ms]| *ms));
    let (least, most) = all.fold((f64::MAX, 0.0_f64), |(least, most), ms| (least.min(ms), most.max(ms)));
    let end = (outcome.latency.count.max(10) as f64).log10().min(6.5);
    let names = ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999"];
    let named = (0..=end as i32).zip(names).map(|(n, name)| (10_f64.powi(n), name.to_owned()));
    let mut lines = Vec::new();
    if let Some(service) = &outcome.service {
        lines.push(Line { name: "from the send", colour: "due", dashed: true, points: places(service) });
    }
    let name = if outcome.service.is_some() { "from the due time" } else { "from the send" };
    lines.push(Line { name, colour: "p99", dashed: false, points: places(&outcome.latency) });
    let latency = &outcome.latency;
    Plot {
        id: "share",
        title: "Latency by percentile",
        unit: "milliseconds, logarithmic: this share of requests took at most so long",
        words: format!(
            "Half took at most {} ms, 90 % {} ms, 99 % {} ms, 99.9 % {} ms, the longest {} ms.",
            ms_text(latency.p50_ms),
            ms_text(latency.p90_ms),
            ms_text(latency.p99_ms),
            ms_text(latency.p99_9_ms),
            ms_text(latency.max_ms)
        ),
        across: "percentile (% of requests)",
        x: Scale::Log { from: 1.0, to: 10_f64.powf(end) },
        y: if most > 0.0 { Scale::log(least, most) } else { Scale::log(1.0, 10.0) },
        named: named.collect(),
        lines,
    }
}

fn routes(outcome: &Outcome) -> String {
    let mut rows = String::new();
    for route in &outcome.routes {
        let errors: u64 = route.errors.values().sum();
        let statuses: Vec<_> = route.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        rows.push_str(&row(&escape(&route.name), route.sent, errors, &route.latency, &statuses.join(", ")));
    }
    let errors = outcome.counts.errors_in_all();
    let name = if outcome.service.is_some() { "All, from the due time" } else { "All" };
    rows.push_str(&row(name, outcome.counts.sent, errors, &outcome.latency, ""));
    if let Some(service) = &outcome.service {
        rows.push_str(&row("All, from the send", outcome.counts.sent, errors, service, ""));
    }
    let head: String = ["Route", "Sent", "Errors", "p50", "p90", "p99", "p99.9", "Max", "Statuses"]
        .map(|name| format!("<th scope=\"col\">{name}</th>"))
        .concat();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Routes\"><table><thead><tr>{head}</tr></thead>\
         <tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn row(name: &str, sent: u64, errors: u64, times: &Latency, statuses: &str) -> String {
    let cells: String = [times.p50_ms, times.p90_ms, times.p99_ms, times.p99_9_ms, times.max_ms]
        .map(|ms| format!("<td>{}</td>", if times.count == 0 { "-".into() } else { ms_text(ms) }))
        .concat();
    format!("<tr><td>{name}</td><td>{sent}</td><td>{errors}</td>{cells}<td>{statuses}</td></tr>\n")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
