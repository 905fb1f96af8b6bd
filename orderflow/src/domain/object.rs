//! JSON objects that are objects. What serde derives for a struct also takes an array of its fields by position, which
//! nobody promised and which would turn every reordering of fields into a change of the API.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A struct that is read from an object only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OrderDraft;

    #[test]
    fn an_array_is_no_object_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<Object<OrderDraft>>(text).map_err(|error| error.to_string());
        assert!(read(r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#).is_ok());
        for array in [r#"[1,[{"product_id":1,"quantity":1}]]"#, r#"{"customer_id":1,"items":[[1,1]]}"#] {
            assert!(read(array).unwrap_err().starts_with("invalid type: sequence, expected an object"));
        }
    }
}
