//! Rate limits as they are written.

use lockstep_core::rate::RateLimit;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// A rate limit as given: `{"perSecond": 10, "burst": 20}`, or `10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitBody(pub RateLimit);

impl JsonSchema for RateLimitBody {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RateLimitGiven".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = generator.subschema_for::<RateLimit>();
        json_schema!({"oneOf": [{"type": "integer", "minimum": 1}, whole]})
    }
}

impl<'de> Deserialize<'de> for RateLimitBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bare(u32),
            Whole(RateLimit),
        }
        let wants = |_| serde::de::Error::custom("rateLimit is {\"perSecond\": 10}, or 10: whole numbers");
        match Form::deserialize(deserializer).map_err(wants)? {
            Form::Bare(per_second) => Ok(Self(RateLimit::per_second(per_second))),
            Form::Whole(limit) => Ok(Self(limit)),
        }
    }
}

/// Tells `null`, which takes something away, from a member that is not there.
///
/// # Errors
/// Where it is neither null nor a limit.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_an_object_and_null_is_told_from_nothing() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default, deserialize_with = "given")]
            limit: Option<Option<RateLimitBody>>,
        }
        let read = |text: &str| serde_json::from_str::<Body>(text).map(|body| body.limit).ok();
        let limit = |per_second, burst| Some(Some(Some(RateLimitBody(RateLimit { per_second, burst }))));
        assert_eq!(read(r#"{"limit": 10}"#), limit(10, None));
        assert_eq!(read(r#"{"limit": {"perSecond": 10, "burst": 30}}"#), limit(10, Some(30)));
        assert_eq!(read(r#"{"limit": null}"#), Some(Some(None)));
        assert_eq!(read("{}"), Some(None));
        for wrong in [r#"{"limit": "ten"}"#, r#"{"limit": -1}"#, r#"{"limit": {"perSecond": 1, "x": 2}}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
