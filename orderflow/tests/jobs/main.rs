//! From a placed order to a mail that was sent: the store of notifications on both databases, and the workers on it.

mod conformance;
mod plans;
mod races;
mod stage;
mod worker;
mod working;

/// Makes a test of each case for each database. A case is an async function of a [`Stage`](stage::Stage).
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
    };
}
pub(crate) use on_both_stores;
