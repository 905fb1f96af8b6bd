//! Where values fall on an axis, and which of them are marked on it.

/// One axis: the values at its ends and how they are spread.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    /// The marked values, rising.
    pub(crate) ticks: Vec<f64>,
}

impl Scale {
    /// An axis that holds all `values`. A linear one starts at zero unless `tight`, so that lengths can be compared; a
    /// logarithmic one ends on decades unless `tight`.
    pub(crate) fn over(values: impl Iterator<Item = f64> + Clone, log: bool, tight: bool) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if log { Self::decades(low, high, tight) } else { Self::linear(low, high, tight) }
    }

    fn linear(low: f64, high: f64, tight: bool) -> Self {
        let low = if tight { low } else { low.min(0.0) };
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / 5.0);
        let ends = if tight { (low, high) } else { ((low / step).floor() * step, (high / step).ceil() * step) };
        let first = (ends.0 / step).ceil() as i64;
        let last = (ends.1 / step).floor() as i64;
        Self { low: ends.0, high: ends.1, log: false, ticks: (first..=last).map(|n| n as f64 * step).collect() }
    }

    fn decades(low: f64, high: f64, tight: bool) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let last = last.max(first + 1);
        let ends = if tight && high > low { (low, high) } else { (10_f64.powi(first), 10_f64.powi(last)) };
        // A rounding error must not lose the tick at either end.
        let within = |tick: &f64| *tick >= ends.0 * (1.0 - 1e-9) && *tick <= ends.1 * (1.0 + 1e-9);
        let every = ((last - first) / 8 + 1) as usize;
        let mut ticks: Vec<f64> = (first..=last).step_by(every).map(|n| 10_f64.powi(n)).filter(within).collect();
        if ticks.len() < 3 {
            let fine = (first..=last).flat_map(|n| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(n)));
            ticks = fine.filter(within).collect();
        }
        Self { low: ends.0, high: ends.1, log: true, ticks }
    }

    /// Where `value` falls, from 0 at the low end to 1 at the high end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

/// The nearest of 1, 2, 5 times a power of ten that is not below `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    digit * power
}

/// A value as a reader takes it in: `1,234`, `12.5`, `0.031`, `3×10⁻⁷`.
pub(crate) fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-4..1e9).contains(&magnitude) {
        let power = magnitude.log10().floor() as i32;
        let digit = value / 10_f64.powi(power);
        let digit = if (digit.abs() - 1.0).abs() < 0.05 { String::new() } else { format!("{}×", trimmed(digit, 1)) };
        return format!("{digit}10{}", raised(power));
    }
    // Three significant digits below a thousand, whole numbers above.
    let places = if value == 0.0 || magnitude >= 100.0 { 0 } else { (2 - magnitude.log10().floor() as i32).max(0) };
    let text = trimmed(value, places as usize);
    let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = digits.find('.').map_or((digits, ""), |dot| digits.split_at(dot));
    let mut out = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn raised(power: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let sign = if power < 0 { "⁻" } else { "" };
    let text = power.unsigned_abs().to_string();
    sign.chars().chain(text.bytes().map(|digit| digits[usize::from(digit - b'0')])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_starts_at_zero_and_ends_on_a_tick() {
        let scale = Scale::over([3.0, 87.0].into_iter(), false, false);
        assert_eq!(scale.ticks, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert!((scale.place(50.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_log_axis_marks_decades() {
        let scale = Scale::over([0.3, 4000.0].into_iter(), true, false);
        assert_eq!(scale.ticks, [0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        assert!((scale.place(10.0) - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_short_log_axis_marks_more_than_its_ends() {
        assert_eq!(Scale::over([20.0, 90.0].into_iter(), true, true).ticks, [20.0, 50.0]);
        assert_eq!(Scale::over([5.0, 5.0].into_iter(), true, true).ticks, [1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn values_that_are_all_alike_still_have_an_axis() {
        let scale = Scale::over([0.0, 0.0].into_iter(), false, false);
        assert!(scale.place(0.0).abs() < 1e-12);
        let tight = Scale::over([7.0].into_iter(), false, true);
        assert!(tight.place(7.0).is_finite());
    }

    #[test]
    fn figures_read_well() {
        let shown = [0.0, 1.0, 1234.0, 12.5, 0.031, 1234.56, -4500.0, 99.99, 3e-7, 1e10, 0.1 + 0.2].map(figure);
        assert_eq!(shown, ["0", "1", "1,234", "12.5", "0.031", "1,235", "-4,500", "100", "3×10⁻⁷", "10¹⁰", "0.3"]);
    }
}
