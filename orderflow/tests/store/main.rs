//! One suite that holds every store to what `Store` promises, and for each store what it alone can get wrong.

#[path = "../both/recorder.rs"]
mod recorder;

mod abandoned;
mod corrupt;
mod customers;
mod limits;
mod lists;
mod migrations;
mod outages;
mod placing;
mod plans;
mod race;
mod seeds;
mod seen;
mod stage;
mod statements;
mod traced;

/// Makes a test of each case for each store, PostgreSQL behind a pooler included. A case is an async function of a [`Stage`](stage::Stage).
macro_rules! on_both_stores {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::stage::Stage::sqlite().await).await;
                }
            )*
        }
        mod postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(stage) = crate::stage::Stage::postgresql().await else { return };
                    super::$case(stage).await;
                }
            )*
        }
        mod pgbouncer {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let Some(stage) = crate::stage::Stage::pgbouncer().await else { return };
                    super::$case(stage).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_stores;
