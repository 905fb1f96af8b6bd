//! A random day: rules and payments that they fit. Macros, because the learner's `Payment` and the baseline's are two
//! types with the same fields; from equal seeds they make equal payments of either.

use harness::Rng;

/// Tills, `t1` to `t7`.
const TILLS: u32 = 7;

/// The rules of a day: some for kinds, one for each till but one, one for what is left.
pub(crate) fn rules(rng: &mut Rng) -> String {
    const SHOPS: [&str; 7] = ["Bath", "Cardiff", "Exeter", "Oban", "Wells", "York", "Ångström Hall"];
    let mut tills: Vec<u32> = (1..=TILLS).collect();
    rng.shuffle(&mut tills);
    // Tips of one till are booked apart from those of the others.
    let mut text = format!("# till, kind, account: the first that fits\nt{}, tip, Tips, to be shared\n", tills[1]);
    text += "*, tip, Tips\n*, refund, Refunds\n*, voucher, Vouchers\n";
    for till in tills.iter().skip(1) {
        text += &format!("t{till}, *, {}\n", rng.choice(SHOPS).expect("there are shops"));
    }
    text + "*, *, Not known\n"
}

/// A till.
pub(crate) fn till(rng: &mut Rng) -> String {
    format!("t{}", rng.u32(1..=TILLS))
}

/// What a payment is for.
pub(crate) fn kind(rng: &mut Rng) -> String {
    let kind = match rng.u32(..100) {
        0..3 => "refund",
        3..8 => "tip",
        8..10 => "voucher",
        _ => "sale",
    };
    kind.to_string()
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
                let (id, till, kind) = (crate::inputs::id(rng), crate::inputs::till(rng), crate::inputs::kind(rng));
                $types::Payment { id, till, kind, cents: rng.u64(100..20_000) }
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
