//! Random latencies, in microseconds.

use harness::Rng;

/// The longest latency that is told apart.
pub(crate) const HOUR: u64 = 3_600_000_000;

/// A latency as services have them: half are shorter than `median`, and the others have a long tail. With a `spread` of
/// 0.3, one in a hundred takes more than twice the median; with 0.5, more than three times.
pub(crate) fn log_normal(rng: &mut Rng, median: f64, spread: f64) -> u64 {
    // Box and Muller's transform: two uniform numbers make a normal one.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
    ((median * (spread * normal).exp()) as u64).clamp(1, HOUR)
}
