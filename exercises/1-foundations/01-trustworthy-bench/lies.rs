//! The benches of the chapter: two functions, each timed by criterion in several ways of which few are right. They decide
//! nothing; `cargo xtask bench trustworthy-bench` runs them.

use harness::Report;

pub(crate) fn report() -> Report {
    harness::report!(|criterion| {
        use std::hint::black_box;

        use harness::{
            Rng,
            criterion::BatchSize::{LargeInput, SmallInput},
        };

        // ANCHOR: fingerprint
        /// A number that equal baskets share, as the key under which their discount is remembered.
        fn fingerprint(basket: &[u64]) -> u64 {
            basket.iter().fold(1, |key, item| (key ^ item).wrapping_mul(0xd134_2543_de82_ef95))
        }

        /// A random basket, as tests make them.
        fn basket(rng: &mut Rng) -> Vec<u64> {
            (0..64).map(|_| rng.u64(..)).collect()
        }
        // ANCHOR_END: fingerprint

        let rng = &mut Rng::with_seed(1);

        // ANCHOR: results
        let mut group = criterion.benchmark_group("fingerprint");
        let same = basket(rng);
        group.bench_function("result dropped", |bencher| {
            bencher.iter(|| {
                fingerprint(&same);
            });
        });
        group.bench_function("result kept", |bencher| bencher.iter(|| fingerprint(&same)));
        // ANCHOR_END: results

        // ANCHOR: inputs
        const KNOWN: [u64; 64] = [12; 64];
        group.bench_function("input known", |bencher| bencher.iter(|| fingerprint(&KNOWN)));
        group.bench_function("input hidden", |bencher| bencher.iter(|| fingerprint(black_box(&KNOWN))));
        // ANCHOR_END: inputs

        // ANCHOR: set-up
        group.bench_function("set-up timed", |bencher| bencher.iter(|| fingerprint(&basket(rng))));
        group.bench_function("set-up apart", |bencher| {
            bencher.iter_batched_ref(|| basket(rng), |basket| fingerprint(basket), SmallInput);
        });
        // ANCHOR_END: set-up
        group.finish();

        // ANCHOR: sort
        let mut group = criterion.benchmark_group("sort");
        let mut same: Vec<u64> = (0..256).map(|_| rng.u64(..)).collect();
        group.bench_function("sorted already", |bencher| bencher.iter(|| same.sort()));
        group.bench_function("the same order each time", |bencher| {
            let one: Vec<u64> = (0..256).map(|_| rng.u64(..)).collect();
            bencher.iter_batched_ref(|| one.clone(), |items| items.sort(), LargeInput);
        });
        group.bench_function("another order each time", |bencher| {
            bencher.iter_batched_ref(
                || (0..256).map(|_| rng.u64(..)).collect::<Vec<u64>>(),
                |items| items.sort(),
                LargeInput,
            );
        });
        // ANCHOR_END: sort
        group.finish();
    })
}
