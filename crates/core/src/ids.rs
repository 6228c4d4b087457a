//! Ids as types of their own, so that one cannot be passed for another.
//!
//! Our own ids are 128-bit numbers (ULIDs: time first, so neighbours in time are neighbours on disk), shown with
//! a prefix that says what they name. Ids that people choose (businesses, types, providers) are short text.

use crate::error::{Code, Rejection, shown};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// What every id of this type begins with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                let digits = ulid::Ulid(self.0).array_to_str(&mut text);
                digits.make_ascii_lowercase();
                f.write_str(Self::PREFIX)?;
                f.write_str(digits)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Rejection;

            fn from_str(text: &str) -> Result<Self, Rejection> {
                text.strip_prefix(Self::PREFIX)
                    // 26 digits of five bits hold 130: those of a first digit over 7 are no number of 128.
                    .filter(|digits| digits.len() == ulid::ULID_LEN && digits.starts_with(|c| c < '8'))
                    .and_then(|digits| ulid::Ulid::from_string(digits).ok())
                    .map(|ulid| Self(ulid.0))
                    .ok_or_else(|| {
                        Rejection::new(
                            Code::InvalidId,
                            format!(
                                "{} is no id of this kind: it is \"{}\" followed by 26 letters and digits",
                                shown(text),
                                Self::PREFIX
                            ),
                        )
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": concat!("^", $prefix, "[0-7][0-9a-z]{25}$")})
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

numbered_id!(
    /// A record.
    RecordId, "rec_"
);
numbered_id!(
    /// A change; random, so that no change made after a restore bears the id of one that was lost.
    ChangeId, "chg_"
);
numbered_id!(
    /// A subscription.
    SubscriptionId, "sub_"
);
numbered_id!(
    /// An application.
    ApplicationId, "app_"
);
numbered_id!(
    /// A token: a credential narrowed from another.
    TokenId, "tok_"
);
numbered_id!(
    /// A connection: one authorised account on one platform.
    ConnectionId, "con_"
);
numbered_id!(
    /// A share: a connection's remote object, brought together with a type.
    ShareId, "shr_"
);
numbered_id!(
    /// A run: one bulk execution of a share.
    RunId, "run_"
);
numbered_id!(
    /// A problem: the same for as long as one object or record of a share stands in its way.
    ProblemId, "prb_"
);
numbered_id!(
    /// A delivery: one change for one subscription, the same on every attempt.
    DeliveryId, "dlv_"
);
numbered_id!(
    /// A commit; a store that sees it again answers as it did the first time.
    CommitId, "cmt_"
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $rule:literal, $legal:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id, refusing what cannot be one.
            ///
            /// # Errors
            /// `invalid_id`, naming the text and the rule.
            pub fn parse(text: &str) -> Result<Self, Rejection> {
                let legal: fn(char) -> bool = $legal;
                if text.is_empty() || text.len() > $max || !text.chars().all(legal) {
                    return Err(Rejection::new(
                        Code::InvalidId,
                        format!("{} is no {}: it is {}", shown(text), $what, $rule),
                    ));
                }
                Ok(Self(Arc::from(text)))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "minLength": 1, "maxLength": $max, "description": $rule})
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

text_id!(
    /// A business: the unit of tenancy, owner of one change log. Chosen by whoever makes it, or drawn.
    BusinessId, "business id", 64, "1 to 64 letters, digits, '_' or '-'", is_word
);
text_id!(
    /// A type of record, such as `contact`.
    TypeId, "type", 64, "1 to 64 letters, digits, '_' or '-'", is_word
);
text_id!(
    /// The slug of an application, unique in its organisation; the `provider` of the external ids it gives.
    Provider, "provider", 64, "1 to 64 letters, digits, '_', '-' or '.'", |c| is_word(c) || c == '.'
);
text_id!(
    /// An organisation, by its name.
    OrganisationName, "organisation name", 100, "1 to 100 printable characters", |c| !c.is_control()
);

/// The slug that a label gives: lower-case letters and digits, everything else a single `-`.
#[must_use]
pub fn slug(label: &str) -> String {
    let mut text = String::new();
    for c in label.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            text.push(c);
        } else if !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
    }
    text.truncate(64);
    text.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show() {
        let id = RecordId(0x0192_3456_789a_bcde_f012_3456_789a_bcde);
        assert_eq!(id.to_string().parse::<RecordId>(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().replace("REC_", "rec_").parse::<RecordId>(), Ok(id));
    }

    #[test]
    fn ids_of_another_kind_are_refused() {
        let text = SubscriptionId(7).to_string();
        let refused = text.parse::<RecordId>().expect_err("another prefix");
        assert_eq!(refused.code, Code::InvalidId);
        assert!(refused.message.contains("rec_"), "{}", refused.message);
        for text in
            ["", "rec_", "rec_é1jd", "rec_01jd", "rec_uuuuuuuuuuuuuuuuuuuuuuuuuu", "rec_80000000000000000000000001"]
        {
            assert!(text.parse::<RecordId>().is_err(), "{text}");
        }
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("My CRM (test) "), "my-crm-test");
        assert_eq!(slug("Ünïcode"), "n-code");
        assert_eq!(slug("***"), "");
    }
}
