//! stub for now
pub(crate) fn report() -> harness::Report {
    harness::report!(|_criterion| {})
}
