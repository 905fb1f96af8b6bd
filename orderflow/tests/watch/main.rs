//! What Prometheus, Alertmanager and Grafana are given in `orderflow/deploy/observability`: that it is well written, that
//! alerts come when they should and only then, and that a real OrderFlow shows every number that is asked for.

mod alerts;
mod client;
mod dashboards;
mod files;
mod fleet;
mod moved;
mod promql;
mod scraped;
mod series;
mod story;
