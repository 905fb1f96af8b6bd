//! What a trace shows of the second level.

use orderflow_servers::{Redis, needs};

use crate::{
    node::{Node, Source},
    recorder,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_are_steps_of_the_request_that_needs_them() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let settings = [("redis.prefix", "seen")];
    let (one, other) = (Node::start(&redis.url(), &settings).await, Node::start(&redis.url(), &settings).await);
    let source = Source::new();
    let steps = async |node: &Node, request: &str, count: usize| {
        assert!(recorder::answer(&recorder::work(request, true), node.get(&source, 7)).await.is_some());
        let spans = recorder::spans_when(request, count).await;
        let cache = spans.iter().find(|span| span.name == "cache").unwrap_or(&spans[0]);
        let said = ["cache.hit", "cache.level"].map(|name| recorder::text(cache, name));
        (recorder::tree(&spans), said)
    };
    let (loaded, said) = steps(&one, "loaded", 5).await;
    let storing = "    keep an answer\n      redis: store\n";
    assert_eq!(loaded, format!("GET /test\n  cache\n    redis: lookup\n{storing}"));
    assert_eq!(said, [Some("false".to_owned()), None]);

    let (shared, said) = steps(&other, "shared", 3).await;
    assert_eq!(shared, "GET /test\n  cache\n    redis: lookup\n");
    assert_eq!(said, ["true", "redis"].map(|word| Some(word.to_owned())));

    let (kept, said) = steps(&other, "kept", 1).await;
    assert_eq!(kept, "GET /test\n");
    assert_eq!(said, [Some("true".to_owned()), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_the_load_of_another_is_told_where_the_answer_came_from() {
    let (node, source) = (Node::start("", &[]).await, Source::gated());
    let works = ["loading", "waiting"].map(|request| recorder::work(request, true));
    let [loading, waiting] = works.each_ref().map(|work| recorder::answer(work, node.get(&source, 7)));
    let release = async {
        source.loading(1).await;
        source.let_end(2);
    };
    let (first, second, ()) = tokio::join!(loading, waiting, release);
    assert_eq!((first, second, source.loads()), (Some(0), Some(0), 1));
    let mut said = Vec::new();
    for request in ["loading", "waiting"] {
        let spans = recorder::spans(request).await;
        assert_eq!(recorder::tree(&spans), "GET /test\n  cache\n");
        let cache = spans.iter().find(|span| span.name == "cache").unwrap();
        said.push(["cache.hit", "cache.level"].map(|name| recorder::text(cache, name)));
    }
    assert_eq!(said, [[Some("false".to_owned()), None], [Some("true".to_owned()), Some("memory".to_owned())]]);
}
