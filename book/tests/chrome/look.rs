//! How a page looks: whether its text stands out, whether it fits a telephone.

use super::Chrome;

/// A script's functions for contrast as WCAG 2.2 defines it: against the nearest background that is painted.
pub(crate) const CONTRAST: &str = r#"
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = (colour) => {
        const [r, g, b] = colour.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgb(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const ratio = (...colours) => {
        const [a, b] = colours.map(luminance);
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const contrast = (element) => ratio(rgb(getComputedStyle(element).color), behind(element));
"#;

/// Holds the page in a window of 360 px to scrolling in one direction only.
pub(crate) async fn fits(chrome: &Chrome, page: &str) {
    // mdBook's text scrolls in a box of its own, so the window's width alone would prove nothing.
    let widths = chrome
        .js("const text = document.getElementById('mdbook-content'), page = document.scrollingElement;
             return [page.scrollWidth, innerWidth, text.scrollWidth, text.clientWidth]")
        .await;
    let widths: Vec<u64> = serde_json::from_value(widths).unwrap();
    assert_eq!(widths[1], 360);
    assert!(widths[0] <= widths[1] && widths[2] <= widths[3], "{page} scrolls sideways: {widths:?}");
}
