//! Names of things. An id is `[A-Za-z0-9_-]` and short, because ids become parts of Redis keys (where `{}` and `:` would
//! move them to another slot), of topics, of URLs and of file names.

use crate::clock;
use crate::error::Invalid;
use std::sync::Arc;
use uuid::{NoContext, Timestamp, Uuid};

#[doc(hidden)]
pub use serde as __serde;

/// The longest id there is, in characters; a kind of id may allow less.
pub const LONGEST: usize = 64;

/// The length of a random id, in characters: 128 bits, five to a character.
pub const RANDOM_LENGTH: usize = 26;

/// Makes the type of one kind of id: its documentation, its name, the request field it comes in, its longest length.
///
/// ```
/// kit::id!(
///     /// Which deal.
///     DealId, "deal_id", 48
/// );
///
/// let deal = DealId::parse("lunch-2026")?;
/// assert_eq!(deal.as_str(), "lunch-2026");
/// assert_eq!(DealId::parse("a:b").unwrap_err().field, "deal_id");
/// # Ok::<(), kit::error::Invalid>(())
/// ```
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $longest:literal $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(::std::sync::Arc<str>);

        impl $name {
            /// The longest it may be, in characters.
            pub const LONGEST: usize = $longest;
            /// The request field it comes in.
            pub const FIELD: &'static str = $field;

            /// Checks and takes `text`.
            ///
            /// # Errors
            ///
            /// Names the field when the text is empty, too long, or has a character outside `[A-Za-z0-9_-]`.
            pub fn parse(text: &str) -> ::std::result::Result<Self, $crate::error::Invalid> {
                $crate::id::check(text, Self::FIELD, Self::LONGEST).map(Self)
            }

            /// A new one, unlike any other: 26 characters of `[0-9a-v]`, later ones sorting after earlier ones to the
            /// millisecond.
            #[must_use]
            pub fn random() -> Self {
                const { assert!(Self::LONGEST >= $crate::id::RANDOM_LENGTH && Self::LONGEST <= $crate::id::LONGEST) };
                Self($crate::id::fresh())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl $crate::id::__serde::Serialize for $name {
            fn serialize<S: $crate::id::__serde::Serializer>(&self, out: S) -> ::std::result::Result<S::Ok, S::Error> {
                out.serialize_str(&self.0)
            }
        }
    };
}

/// Checks `text` against the rule of ids; [`id!`](crate::id!) is how to use it.
///
/// # Errors
///
/// One sentence that names the field.
pub fn check(text: &str, field: &'static str, longest: usize) -> Result<Arc<str>, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(field, "is empty"));
    }
    if let Some(wrong) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
        return Err(Invalid::new(field, format!("has {wrong:?}; letters, digits, _ and - are allowed")));
    }
    if text.len() > longest {
        return Err(Invalid::new(field, format!("has {} characters; at most {longest} are allowed", text.len())));
    }
    Ok(text.into())
}

/// A new id: a UUIDv7 in lower-case base 32, so that it is short and later ids sort after earlier ones.
#[must_use]
pub fn fresh() -> Arc<str> {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let now = clock::now();
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let number = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.nanosecond())).as_u128();
    (0..RANDOM_LENGTH)
        .rev()
        .map(|place| char::from(DIGITS[(number >> (5 * place)) as usize & 31]))
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    crate::id!(
        /// A thing under test.
        ThingId, "thing_id", 30
    );

    #[test]
    fn takes_what_is_allowed_and_gives_it_back() {
        let id = ThingId::parse("aZ09_-").unwrap();
        assert_eq!(id.to_string(), "aZ09_-");
        assert_eq!(format!("{id:?}"), "ThingId(aZ09_-)");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"aZ09_-\"");
        assert!(ThingId::parse(&"x".repeat(30)).is_ok());
    }

    #[test]
    fn says_which_field_is_wrong_and_how() {
        for (text, words) in [
            (String::new(), "is empty"),
            ("x".repeat(31), "31 characters; at most 30"),
            ("a{b}".into(), "'{'"),
            ("a:b".into(), "':'"),
            ("a b".into(), "' '"),
            ("a\n".into(), "'\\n'"),
            ("쿠폰".into(), "'쿠'"),
        ] {
            let invalid = ThingId::parse(&text).unwrap_err();
            assert_eq!(invalid.field, "thing_id");
            assert!(invalid.description.contains(words), "{text:?}: {}", invalid.description);
        }
    }

    #[test]
    fn random_ids_differ_and_are_themselves_valid() {
        let all: HashSet<ThingId> = (0..1000).map(|_| ThingId::random()).collect();
        assert_eq!(all.len(), 1000);
        for id in all {
            assert_eq!(id.as_str().len(), super::RANDOM_LENGTH);
            assert_eq!(ThingId::parse(id.as_str()).unwrap(), id);
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let earlier = ThingId::random();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(earlier < ThingId::random());
    }
}
