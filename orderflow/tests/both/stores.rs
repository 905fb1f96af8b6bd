//! A test of each case on SQLite and on PostgreSQL, for suites that have a `stage::Stage` of their own.

/// Makes a test of each case for each store. A case is an async function of a `Stage`.
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
