//! Events: every order once and in one order, whatever becomes of connections, instances, and what wakes them.

mod client;
mod crowd;
mod edge;
mod held;
mod hub;
mod resume;
mod stage;
mod wake;

/// Makes a test of each case for each store. A case is an async function of a [`Stage`](stage::Stage).
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
