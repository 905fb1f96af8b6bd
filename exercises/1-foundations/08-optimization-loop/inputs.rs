//! A random day: rules and payments that they fit. Macros, because the learner's `Payment` and the baseline's are two
//! types with the same fields; from equal seeds they make equal payments of either.

use harness::Rng;

/// Tills that write notes, `t1` to `t7`.
const TILLS: u32 = 7;

/// The rules of a day: some for what stands at the end of a note, one for each till but one, one for what is left.
pub(crate) fn rules(rng: &mut Rng) -> String {
    const SHOPS: [&str; 7] = ["Bath", "Cardiff", "Exeter", "Oban", "Wells", "York", "Ångström Hall"];
    let mut tills: Vec<u32> = (1..=TILLS).collect();
    rng.shuffle(&mut tills);
    // Tips of one till are booked apart from those of the others.
    let mut text = format!("The first rule that fits decides.\nt{} * tip = Tips, to be shared\n", tills[1]);
    text += "* tip = Tips\n* refund = Refunds\n* voucher = Vouchers\n";
    for till in tills.iter().skip(1) {
        text += &format!("t{till} * = {}\n", rng.choice(SHOPS).expect("there are shops"));
    }
    text + "* = Not known\n"
}

/// What a till writes.
pub(crate) fn note(rng: &mut Rng) -> String {
    let end = match rng.u32(..100) {
        0..3 => " refund",
        3..8 => " tip",
        8..10 => " voucher",
        _ => "",
    };
    format!("t{} receipt {}{end}", rng.u32(1..=TILLS), rng.u32(1..100_000))
}

/// The provider's number for a payment.
pub(crate) fn id(rng: &mut Rng) -> String {
    format!("pay-{:012x}", rng.u64(..1 << 48))
}

macro_rules! payments {
    ($types:ident, $rng:expr, $count:expr) => {{
        let rng: &mut harness::Rng = $rng;
        let mut payments: Vec<$types::Payment> = Vec::new();
        while payments.len() < $count {
            // Three in a hundred are notified again, some of them hours later.
            let again = payments.len() > 1 && rng.u32(..100) < 3;
            let payment = if again {
                payments[rng.usize(..payments.len())].clone()
            } else {
                let (id, note) = (crate::inputs::id(rng), crate::inputs::note(rng));
                $types::Payment { id, note, cents: rng.u64(100..20_000) }
            };
            payments.push(payment);
        }
        payments
    }};
}
pub(crate) use payments;

/// What some payments are booked to.
pub(crate) fn accounts(rng: &mut Rng, count: usize) -> Vec<&'static str> {
    const ACCOUNTS: [&str; 11] = [
        "Refunds",
        "Tips",
        "Tips, to be shared",
        "Vouchers",
        "Bath",
        "Exeter",
        "Oban",
        "Wells",
        "York",
        "Ångström Hall",
        "Not known",
    ];
    (0..count).map(|_| *rng.choice(&ACCOUNTS).expect("there are accounts")).collect()
}
