//! What the system says of the process. Where there is no `/proc`, most of it is not said.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use rustix::{
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// What `/proc` counts the start of a process in, a second: 100 wherever Linux has a Rust standard library.
const TICKS: f64 = 100.0;

/// What the system says of this process whenever somebody asks.
#[derive(Debug)]
pub(super) struct Process {
    started: Option<f64>,
}

impl Process {
    /// This one.
    pub(super) fn this() -> Self {
        Self { started: started() }
    }
}

/// When it began, in seconds since 1970: so long after the system did.
fn started() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name, in parentheses, and may have spaces. The one wanted is the 22nd.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / TICKS)
}

/// A line of `/proc/self/status` as a number, without its unit.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// How many files are open. Recent kernels know without a list of all of them, which a busy service would feel.
fn open_files() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        // The list has an entry for reading the list.
        0 => Some((fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        known => Some(known),
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let used = ConstCounter::new(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9);
        let help = "Processor time that the process has used.";
        used.encode(encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), used.metric_type())?)?;
        if let Some(started) = self.started {
            let started = ConstGauge::new(started);
            let help = "When the process began, since 1970.";
            let (name, unit) = ("process_start_time", Some(&Unit::Seconds));
            started.encode(encoder.encode_descriptor(name, help, unit, started.metric_type())?)?;
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kibibytes = |name| field(&status, name).map(|value| value * 1024);
        let most = getrlimit(Resource::Nofile).current;
        let gauges = [
            (
                "process_resident_memory",
                "Memory of the process that is in RAM.",
                Some(&Unit::Bytes),
                kibibytes("VmRSS"),
            ),
            ("process_virtual_memory", "Addresses that the process has.", Some(&Unit::Bytes), kibibytes("VmSize")),
            ("process_open_fds", "Files and connections that are open.", None, open_files()),
            ("process_max_fds", "The most of them that may be open.", None, most),
            ("process_threads", "Threads of the process.", None, field(&status, "Threads")),
        ];
        for (name, help, unit, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_status_is_a_number() {
        let status = "Name:\torderflow\nVmRSSx:\t1 kB\nVmRSS:\t   42 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS"), Some(42));
        assert_eq!(field(status, "Threads"), Some(7));
        assert_eq!((field(status, "Name"), field(status, "VmSize")), (None, None));
    }
}
