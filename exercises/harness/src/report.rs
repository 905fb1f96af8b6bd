//! Criterion benches that decide nothing, for the learner to look at.

/// Some criterion benches, written with [`report!`](crate::report!).
pub struct Report {
    #[cfg(feature = "standalone")]
    benches: fn(&mut criterion::Criterion),
}

#[cfg(feature = "standalone")]
impl Report {
    #[doc(hidden)]
    pub fn new(benches: fn(&mut criterion::Criterion)) -> Self {
        Self { benches }
    }

    pub(crate) fn run(&self, criterion: &mut criterion::Criterion) {
        (self.benches)(criterion);
    }
}

#[cfg(not(feature = "standalone"))]
impl Report {
    #[doc(hidden)]
    pub fn none() -> Self {
        Self {}
    }
}

/// Benches for [`Bench::report`](crate::Bench::report), written as for criterion: `report!(|criterion| { .. })`. Graded
/// builds have no criterion, and leave them out.
#[cfg(feature = "standalone")]
#[macro_export]
macro_rules! report {
    (|$criterion:ident| $benches:block) => {
        $crate::Report::new(|$criterion: &mut $crate::criterion::Criterion| $benches)
    };
}

/// In this build there is no criterion, and nothing to write for it.
#[cfg(not(feature = "standalone"))]
#[macro_export]
macro_rules! report {
    (|$criterion:ident| $benches:block) => {
        $crate::Report::none()
    };
}
