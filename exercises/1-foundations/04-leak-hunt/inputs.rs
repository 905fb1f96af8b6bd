//! How large the shop is, and its customers. A macro, because the learner's types and the baseline's are two sets of types.

/// Sessions that there is room for.
pub(crate) const CAPACITY: usize = 300;

/// The customer whose token it is, with agreed prices for as many articles.
macro_rules! customer {
    ($types:ident, $token:expr, $articles:expr) => {{
        let id = crate::inputs::id($token);
        $types::Customer { id, name: format!("Customer {id}"), prices: vec![id as u32; $articles] }
    }};
}
pub(crate) use customer;

/// Which customer signed in with a token.
pub(crate) fn id(token: u64) -> u64 {
    token % 1_000_003
}
