//! Which traces are kept: the last ones, the last slow ones and the last failed ones, each sort for itself, so that a flood
//! of good ones pushes none of the others out. Spans end before the span that they are part of, so that a trace is first
//! gathered and kept once a request or job of it ends; what ends later in the same trace is added to it.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use opentelemetry::trace::TraceId;

use super::{Root, Search, Step, Trace, trace::SPANS};

/// The most traces that are gathered at once: those of which no request or job has ended yet.
const GATHERED: usize = 256;
/// How many spans all traces may have together, for each one that a ring holds. Most have fewer than twenty.
const SPANS_EACH: usize = 60;

/// Why a trace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptAs {
    /// It is one of the last.
    Recent,
    /// It is one of the last that were slow.
    Slow,
    /// It is one of the last that failed.
    Failed,
}

impl KeptAs {
    /// All reasons.
    pub const ALL: [Self; 3] = [Self::Recent, Self::Slow, Self::Failed];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Slow => "slow",
            Self::Failed => "failed",
        }
    }
}

/// How many traces are kept for which reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// The last ones.
    pub recent: usize,
    /// The last slow ones.
    pub slow: usize,
    /// The last failed ones.
    pub failed: usize,
}

/// A trace that was looked for.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its identifier.
    pub id: TraceId,
    /// Why it is kept.
    pub kept: Vec<KeptAs>,
    /// What is known of it.
    pub trace: Arc<Trace>,
}

/// All traces that are kept, and those that are gathered.
#[derive(Debug)]
pub(super) struct Rings {
    each: usize,
    slow: Duration,
    traces: HashMap<TraceId, Entry>,
    sorts: [Ring; 3],
    gathered: VecDeque<TraceId>,
    spans: usize,
}

#[derive(Debug, Default)]
struct Entry {
    /// Shared with whoever reads it just now, so that readers hold nobody up.
    trace: Arc<Trace>,
    /// In which rings it is.
    kept: [bool; 3],
}

/// The newest are last.
#[derive(Debug, Default)]
struct Ring {
    traced: VecDeque<TraceId>,
    outlines: VecDeque<TraceId>,
}

impl Ring {
    fn len(&self) -> usize {
        self.traced.len() + self.outlines.len()
    }

    /// Takes the oldest out, of outlines if there are more of them: a trace says more.
    fn pop(&mut self) -> Option<TraceId> {
        let (first, second) = if self.outlines.len() > self.traced.len() {
            (&mut self.outlines, &mut self.traced)
        } else {
            (&mut self.traced, &mut self.outlines)
        };
        first.pop_front().or_else(|| second.pop_front())
    }
}

impl Rings {
    pub(super) fn new(each: usize, slow: Duration) -> Self {
        let sorts = Default::default();
        Self { each, slow, traces: HashMap::new(), sorts, gathered: VecDeque::new(), spans: 0 }
    }

    /// Takes a span of a trace that is kept by others too.
    pub(super) fn ended(&mut self, id: TraceId, step: Step, root: Option<Root>) {
        self.add(id, step, root, true);
    }

    /// Takes what is known of a request that was not traced.
    pub(super) fn outlined(&mut self, id: TraceId, step: Step, root: Root) {
        self.add(id, step, Some(root), false);
    }

    fn add(&mut self, id: TraceId, step: Step, root: Option<Root>, sampled: bool) {
        let entry = self.traces.entry(id).or_default();
        let is_new = entry.trace.spans.is_empty();
        let reasons = root.as_ref().map(|root| [sampled, root.took >= self.slow, root.failed]);
        let trace = Arc::make_mut(&mut entry.trace);
        trace.sampled |= sampled;
        self.spans += trace.add(step, root);
        match reasons {
            None if is_new => {
                self.gathered.push_back(id);
                if self.gathered.len() > GATHERED {
                    self.give_up_oldest();
                }
            }
            None => {}
            Some(reasons) => {
                if !is_new && let Some(at) = self.gathered.iter().rposition(|gathered| *gathered == id) {
                    self.gathered.remove(at);
                }
                for (why, _) in reasons.into_iter().enumerate().filter(|(_, is)| *is) {
                    self.keep(id, why, sampled);
                }
                self.forget_if_unwanted(id);
            }
        }
        self.shrink();
    }

    /// Puts a trace into a ring.
    fn keep(&mut self, id: TraceId, why: usize, sampled: bool) {
        let Some(entry) = self.traces.get_mut(&id) else { return };
        if std::mem::replace(&mut entry.kept[why], true) {
            return;
        }
        let ring = &mut self.sorts[why];
        if sampled { &mut ring.traced } else { &mut ring.outlines }.push_back(id);
        if ring.len() > self.each {
            self.drop_oldest(why);
        }
    }

    /// Takes the oldest trace out of a ring. False if there is none.
    fn drop_oldest(&mut self, why: usize) -> bool {
        let Some(id) = self.sorts[why].pop() else { return false };
        if let Some(entry) = self.traces.get_mut(&id) {
            entry.kept[why] = false;
        }
        self.forget_if_unwanted(id);
        true
    }

    /// Gives the trace up that has been gathered for longest. False if there is none.
    fn give_up_oldest(&mut self) -> bool {
        let Some(id) = self.gathered.pop_front() else { return false };
        self.forget_if_unwanted(id);
        true
    }

    /// Forgets a trace that is in no ring and not gathered any more.
    fn forget_if_unwanted(&mut self, id: TraceId) {
        if self.traces.get(&id).is_some_and(|entry| entry.kept == [false; 3])
            && let Some(entry) = self.traces.remove(&id)
        {
            self.spans -= entry.trace.spans.len();
        }
    }

    /// Drops the oldest until all of them have no more spans than they may: good ones first, then those that are gathered,
    /// slow ones and failed ones.
    fn shrink(&mut self) {
        let most = SPANS_EACH * self.each + SPANS;
        while self.spans > most
            && (self.drop_oldest(0) || self.give_up_oldest() || self.drop_oldest(1) || self.drop_oldest(2))
        {}
    }

    /// The traces that are looked for, the newest first.
    pub(super) fn search(&self, search: &Search) -> Vec<Found> {
        let fits = |id: &TraceId, entry: &Entry| {
            let Entry { trace, kept } = entry;
            *kept != [false; 3]
                && search.trace.is_none_or(|wanted| wanted == *id)
                && search.route.as_deref().is_none_or(|route| trace.route() == Some(route))
                && search.status.is_none_or(|status| trace.status() == Some(status))
                && search.longer.is_none_or(|least| trace.took() >= least)
                && search.kept.iter().all(|why| kept[*why as usize])
        };
        let mut found: Vec<_> = self.traces.iter().filter(|(id, entry)| fits(id, entry)).collect();
        found.sort_unstable_by_key(|(_, entry)| Reverse(entry.trace.started()));
        let found = found.into_iter().take(search.limit).map(|(id, entry)| Found {
            id: *id,
            kept: KeptAs::ALL.into_iter().filter(|why| entry.kept[*why as usize]).collect(),
            trace: Arc::clone(&entry.trace),
        });
        found.collect()
    }

    /// How many traces each ring holds.
    pub(super) fn counts(&self) -> Counts {
        let [recent, slow, failed] = [0, 1, 2].map(|why| self.sorts[why].len());
        Counts { recent, slow, failed }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::trace::SpanId;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const SLOW: Duration = Duration::from_secs(1);

    fn id(number: u128) -> TraceId {
        TraceId::from_bytes((number + 1).to_be_bytes())
    }

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn step(span: u64) -> Step {
        Step {
            span: SpanId::from_bytes((span + 1).to_be_bytes()),
            parent: None,
            name: "a step".into(),
            kind: "internal",
            started: at(0),
            took: Duration::ZERO,
            error: false,
            attributes: Vec::new(),
        }
    }

    fn root(name: &'static str, started: u64, took: Duration, failed: bool) -> Root {
        let status = Some(if failed { 500 } else { 200 });
        Root { name: name.into(), request: None, route: None, status, started: at(started), took, failed }
    }

    fn names(rings: &Rings, search: &Search) -> Vec<String> {
        let search = Search { limit: 1_000, ..search.clone() };
        rings.search(&search).iter().map(|found| found.trace.root.as_ref().unwrap().name.to_string()).collect()
    }

    #[test]
    fn a_flood_of_good_traces_leaves_slow_and_failed_ones() {
        let mut rings = Rings::new(5, SLOW);
        rings.ended(id(1), step(1), Some(root("slow", 1, SLOW, false)));
        rings.ended(id(2), step(2), Some(root("failed", 2, Duration::ZERO, true)));
        for number in 3..1_000 {
            rings.ended(id(number), step(3), Some(root("good", 3, Duration::ZERO, false)));
        }
        assert_eq!(rings.counts(), Counts { recent: 5, slow: 1, failed: 1 });
        let kept = |why| Search { kept: vec![why], ..Search::default() };
        assert_eq!(names(&rings, &kept(KeptAs::Slow)), ["slow"]);
        assert_eq!(names(&rings, &kept(KeptAs::Failed)), ["failed"]);
        assert_eq!(names(&rings, &Search { status: Some(500), ..Search::default() }), ["failed"]);
        assert_eq!(names(&rings, &Search { longer: Some(SLOW), ..Search::default() }), ["slow"]);
        assert_eq!(names(&rings, &Search::default()), ["good", "good", "good", "good", "good", "failed", "slow"]);
    }

    #[test]
    fn steps_come_before_their_request_and_a_job_of_the_same_trace_after_it() {
        let mut rings = Rings::new(5, SLOW);
        rings.ended(id(1), step(1), None);
        assert_eq!(names(&rings, &Search::default()), [""; 0], "nothing is known of it yet");
        rings.ended(id(1), step(2), Some(root("request", 10, Duration::ZERO, false)));
        rings.ended(id(1), step(3), None);
        rings.ended(id(1), step(4), Some(root("job", 12, Duration::ZERO, true)));
        let found = rings.search(&Search { trace: Some(id(1)), limit: 1, ..Search::default() });
        let Found { kept, trace, .. } = &found[0];
        assert_eq!((kept.as_slice(), trace.spans.len()), ([KeptAs::Recent, KeptAs::Failed].as_slice(), 4));
        assert_eq!(names(&rings, &Search::default()), ["request"]);
    }

    #[test]
    fn a_trace_of_many_spans_is_cut_and_has_its_request_all_the_same() {
        let mut rings = Rings::new(5, SLOW);
        for number in 0..1_000 {
            rings.ended(id(1), step(number), None);
        }
        rings.ended(id(1), step(5_000), Some(root("request", 1, Duration::ZERO, false)));
        let found = rings.search(&Search { limit: 1, ..Search::default() });
        let trace = &found[0].trace;
        assert_eq!((trace.spans.len(), trace.dropped, trace.spans[SPANS - 1].span), (SPANS, 801, step(5_000).span));
    }

    #[test]
    fn outlines_leave_room_for_traces() {
        let mut rings = Rings::new(10, SLOW);
        for number in 0..5 {
            rings.ended(id(number), step(1), Some(root("traced", 1, Duration::ZERO, true)));
        }
        for number in 100..1_000 {
            rings.outlined(id(number), step(1), root("outline", 2, Duration::ZERO, true));
        }
        let failed = names(&rings, &Search { kept: vec![KeptAs::Failed], ..Search::default() });
        assert_eq!(failed.iter().filter(|name| *name == "traced").count(), 5, "{failed:?}");
        assert_eq!(failed.len(), 10);
    }

    #[derive(Debug, Clone)]
    enum Happens {
        Step(u8),
        Root { trace: u8, slow: bool, failed: bool },
        Outline(u8),
        Burst { trace: u8, spans: u16 },
        Strangers(u16),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            any::<u8>().prop_map(Happens::Step),
            (any::<u8>(), any::<bool>(), any::<bool>()).prop_map(|(trace, slow, failed)| Happens::Root {
                trace,
                slow,
                failed
            }),
            any::<u8>().prop_map(Happens::Outline),
            (any::<u8>(), 0..400_u16).prop_map(|(trace, spans)| Happens::Burst { trace, spans }),
            (0..400_u16).prop_map(Happens::Strangers),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn memory_is_bounded_whatever_happens(each in 1..4_usize, all in vec(happens(), 0..120)) {
            let mut rings = Rings::new(each, SLOW);
            let mut stranger = 1_000_000;
            for (number, one) in all.into_iter().enumerate() {
                let number = number as u64;
                match one {
                    Happens::Step(trace) => rings.ended(id(trace.into()), step(number), None),
                    Happens::Root { trace, slow, failed } => {
                        let took = if slow { SLOW } else { Duration::ZERO };
                        rings.ended(id(trace.into()), step(number), Some(root("root", number, took, failed)));
                    }
                    Happens::Outline(trace) => {
                        rings.outlined(id(trace.into()), step(number), root("outline", number, SLOW, true));
                    }
                    Happens::Burst { trace, spans } => {
                        (0..spans).for_each(|_| rings.ended(id(trace.into()), step(number), None));
                    }
                    Happens::Strangers(count) => {
                        for _ in 0..count {
                            stranger += 1;
                            rings.ended(id(stranger), step(number), None);
                        }
                    }
                }
                let spans: usize = rings.traces.values().map(|entry| entry.trace.spans.len()).sum();
                prop_assert_eq!(rings.spans, spans);
                prop_assert!(spans <= SPANS_EACH * each + SPANS);
                prop_assert!(rings.gathered.len() <= GATHERED);
                prop_assert!(rings.sorts.iter().all(|ring| ring.len() <= each));
                prop_assert!(rings.traces.len() <= 3 * each + GATHERED);
                prop_assert!(rings.traces.values().all(|entry| entry.trace.spans.len() <= SPANS));
                // Whatever is known is in a ring or gathered, and the other way round.
                let gathered = rings.traces.values().filter(|entry| entry.kept == [false; 3]).count();
                prop_assert_eq!(gathered, rings.gathered.len());
                for (why, ring) in rings.sorts.iter().enumerate() {
                    let kept = rings.traces.values().filter(|entry| entry.kept[why]).count();
                    prop_assert_eq!(kept, ring.len());
                }
            }
        }
    }
}
