//! Every figure of the real book says what it shows to whoever cannot see it, and can be read in light and in dark themes.

mod chrome;
mod sample;

use std::path::Path;

use book::site::{self, Site};
use chrome::{Chrome, available};
use sample::Server;
use serde_json::json;

fn real() -> (Site, &'static Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    (site::render(root).unwrap(), root)
}

/// The content of an attribute of the element that begins `tag`.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let tag = &tag[..tag.find('>')?];
    let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    tag[from..].split('"').next()
}

/// What every element that begins with `start` looks like from there on.
fn each<'a>(html: &'a str, start: &str) -> Vec<&'a str> {
    html.match_indices(start).map(|(at, _)| &html[at..]).collect()
}

#[test]
fn every_figure_has_a_text_in_its_place() {
    let (site, _) = real();
    let (mut pictures, mut plots, mut tables) = (0, 0, 0);
    for (page, html) in site.pages() {
        let html = html.split("<main>").nth(1).unwrap_or_default().split("</main>").next().unwrap_or_default();
        for image in each(html, "<img ") {
            let (source, alt) = (attribute(image, "src").unwrap(), attribute(image, "alt").unwrap_or_default());
            assert!(alt.split_whitespace().count() >= 5, "{page}: {source} needs more than `{alt}` in its place");
            assert!(
                Path::new(source).extension().is_some_and(|ending| ending == "svg"),
                "{page}: {source} is no SVG and blurs when it is made larger"
            );
            pictures += 1;
        }
        for svg in each(html, "<svg") {
            if attribute(svg, "aria-hidden") == Some("true") {
                continue;
            }
            assert_eq!(attribute(svg, "role"), Some("img"), "{page}");
            let ids = attribute(svg, "aria-labelledby").unwrap_or_else(|| panic!("{page}: a drawing without a name"));
            for id in ids.split(' ') {
                let text = svg.split_once(&format!(" id=\"{id}\">")).map_or("", |(_, text)| text);
                let text = text.split('<').next().unwrap_or_default();
                assert!(text.split_whitespace().count() >= 3, "{page}: {id} says only `{text}`");
            }
            plots += 1;
        }
        for figure in each(html, "<figure class=\"evidence\">") {
            let figure = figure.split("</figure>").next().unwrap();
            assert!(
                figure.contains("<figcaption>") && figure.contains("<p class=\"caption\">"),
                "{page}: a figure without a caption"
            );
            let table = figure.contains("<table>");
            assert!(!table || figure.contains("<th scope=\"col\"") && figure.contains("<th scope=\"row\""), "{page}");
            tables += u32::from(table);
        }
    }
    assert!(pictures > 0 && plots > 0 && tables > 0, "{pictures} pictures, {plots} plots, {tables} tables");
}

#[test]
fn plots_have_no_colours_of_their_own() {
    let (site, root) = real();
    let mut seen = 0;
    for (page, html) in site.pages() {
        for plot in each(&html, "<svg class=\"plot\"") {
            let plot = plot.split("</svg>").next().unwrap();
            for literal in [" fill=", " stroke=", " style=", "rgb(", "=\"#"] {
                assert!(!plot.contains(literal), "{page}: a plot sets {literal} itself, which no theme changes");
            }
            seen += 1;
        }
    }
    assert!(seen > 0);
    // Which the style sheet gives them by variables, that every theme sets.
    let css = std::fs::read_to_string(root.join("book/theme/course.css")).unwrap();
    let rules = css.lines().filter(|line| line.starts_with(".plot"));
    for property in rules.flat_map(|line| line.split(['{', ';'])).map(str::trim) {
        let Some((name, value)) = property.split_once(": ") else { continue };
        if ["fill", "stroke", "color"].contains(&name) {
            assert!(value.starts_with("var(--") || ["none", "currentColor"].contains(&value), "{property}");
        }
    }
}

/// A picture cannot see the theme of the page around it. So it brings a background of its own, and each text in it stands
/// out from what is painted beneath it by 4.5 to 1.
#[tokio::test]
async fn pictures_can_be_read_in_every_theme() {
    if !available() {
        return;
    }
    let (site, root) = real();
    let is_picture = |name: &&String| {
        let shown = Path::new(name).extension().is_some_and(|extension| extension == "svg");
        shown && !name.starts_with("favicon") && !name.starts_with("fonts")
    };
    let pictures: Vec<_> = site.files.keys().filter(is_picture).cloned().collect();
    assert!(pictures.len() > 2, "{pictures:?}");
    let server = Server::start(root);
    let chrome = Chrome::start().await;
    // What is under the middle of a text, from the top down, without other texts. The faint button to search in a flamegraph
    // works in the picture by itself only, where it darkens under the pointer.
    let faint = r#"
        const luminance = (colour) => {
            const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((v) => v / 255)
                .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const fill = (element) => getComputedStyle(element).fill;
        // A gradient is all of its colours.
        const paints = (element) => {
            const gradient = fill(element).match(/^url\("?(#[^")]+)"?\)/);
            const stops = gradient ? [...document.querySelectorAll(`${gradient[1]} stop`)] : [];
            return gradient ? stops.map((stop) => getComputedStyle(stop).stopColor) : [fill(element)];
        };
        const texts = [...document.querySelectorAll("text")]
            .filter((text) => text.textContent.trim() && text.id !== "search" && text.checkVisibility());
        const beneath = (text) => {
            text.scrollIntoView({ block: "center" });
            const box = text.getBoundingClientRect();
            const under = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2);
            const painted = (element) => element.matches("rect, path, circle, polygon") && fill(element) !== "none";
            return under.find((element) => painted(element));
        };
        const found = texts.map((text) => {
            const below = beneath(text);
            if (!below) return `${text.textContent} has nothing beneath it`;
            const ratio = Math.min(...paints(below).map((paint) => {
                const [light, dark] = [luminance(fill(text)), luminance(paint)].sort((a, b) => b - a);
                return (light + 0.05) / (dark + 0.05);
            }));
            return ratio < 4.5 ? `${text.textContent} ${ratio.toFixed(2)}` : null;
        });
        return [texts.length > 0, found.filter((text) => text)];
    "#;
    for picture in &pictures {
        chrome.goto(&server.url(picture)).await;
        assert_eq!(chrome.js(faint).await, json!([true, []]), "{picture}: text that is too faint");
        let covered = "const { width, height } = document.documentElement.viewBox.baseVal;
            const first = document.querySelector('rect').getBBox();
            return first.x <= 0 && first.y <= 0 && first.width >= width && first.height >= height";
        assert_eq!(chrome.js(covered).await, json!(true), "{picture} lets the theme shine through");
    }
    chrome.stop().await;
}
