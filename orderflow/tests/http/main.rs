//! The service as its clients meet it: what every route answers, what it refuses and how, what it keeps, and what it bears.

mod bodies;
mod bulkheads;
mod cached;
mod client;
mod coalesced;
mod customers;
mod description;
mod encodings;
mod headers;
mod kept;
mod keys;
mod limits;
mod lists;
mod logged;
mod orders;
mod paths;
mod probes;
mod seen;
mod service;
mod shapes;
mod watched;
mod wire;

/// Makes a test of each case for each store. A case is an async function of a running [`Service`](service::Service).
macro_rules! on_both_stores {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::service::Service::sqlite().await).await;
                }
            )*
        }
        mod postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(service) = crate::service::Service::postgresql().await else { return };
                    super::$case(service).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_stores;
