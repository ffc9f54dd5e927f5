//! JSON inside updates, read as strictly as yrs reads it, and not kept.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether text is JSON that yrs can read, nested no deeper than this.
pub(super) fn is_json(text: &str, depth_max: usize) -> bool {
    let mut json = serde_json::Deserializer::from_str(text);
    JsonDepth(depth_max).deserialize(&mut json).and_then(|()| json.end()).is_ok()
}

/// Reads any value, and allows this much nesting.
struct JsonDepth(usize);

impl<'de> DeserializeSeed<'de> for JsonDepth {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl JsonDepth {
    fn inner<E: serde::de::Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> Visitor<'de> for JsonDepth {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        // yrs keeps integers in 64 bits with a sign.
        i64::try_from(number).map(drop).map_err(E::custom)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner::<A::Error>()?.0;
        while entries.next_element_seed(Self(inner))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner::<A::Error>()?.0;
        while entries.next_key_seed(Self(0))?.is_some() {
            entries.next_value_seed(Self(inner))?;
        }
        Ok(())
    }
}
