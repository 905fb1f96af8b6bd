//! OrderFlow as several processes: how fast due work is found and sent, what a second and third instance gain, and what a
//! stampede costs.

mod instances;
mod notifications;

use crate::cases::Case;

pub(crate) const CASES: [Case; 5] = [
    Case { name: "birthdays", run: notifications::birthdays },
    Case { name: "workers", run: notifications::workers },
    Case { name: "delivery", run: notifications::delivery },
    Case { name: "instances", run: instances::instances },
    Case { name: "stampede", run: instances::stampede },
];
