//! The scheduler on both databases: whose birthday it is and which orders are reminded of, by a clock that the test sets; and
//! what becomes of it when several run, when one dies, and when a database cuts it off.

mod birthdays;
mod killed;
mod leaders;
mod plans;
mod process;
mod reminders;
mod stage;

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
