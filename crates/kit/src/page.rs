//! Pages of a list: how large they are, and the token that leads from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// On a page where the client does not say.
const DEFAULT: i64 = 50;
/// On a page, at most.
const MOST: i64 = 1_000;

/// What a token says: which list it belongs to, and the last one on the page before.
#[derive(Serialize, Deserialize)]
struct Cursor<T> {
    list: String,
    last: T,
}

/// The size asked for as `page_size`.
///
/// # Errors
/// No page has this size.
pub fn size(asked: i32) -> Result<i64, Invalid> {
    match i64::from(asked) {
        0 => Ok(DEFAULT),
        size if (1..=MOST).contains(&size) => Ok(size),
        size => Err(Invalid::new("page_size", format!("is {size}; it is 1 to {MOST}, or 0 for {DEFAULT}"))),
    }
}

/// The token that leads on from the last one of a page of `list`; empty where nothing follows.
pub fn token<T: Serialize>(list: String, last: Option<T>) -> String {
    let cursor = last.map(|last| Cursor { list, last });
    cursor.map(|cursor| BASE64.encode(serde_json::to_vec(&cursor).unwrap_or_default())).unwrap_or_default()
}

/// Where a token leads on. In the list that it was made for, and in no other.
///
/// # Errors
/// It is not a token of this list.
pub fn after<T: DeserializeOwned>(list: &str, token: &str) -> Result<Option<T>, Invalid> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64.decode(token).map_err(|_| foreign())?;
    let cursor: Cursor<T> = serde_json::from_slice(&bytes).map_err(|_| foreign())?;
    if cursor.list == list { Ok(Some(cursor.last)) } else { Err(foreign()) }
}

/// A token that this list never gave.
#[must_use]
pub fn foreign() -> Invalid {
    Invalid::new("page_token", "is not the next_page_token of this same list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_on_in_its_own_list_only() {
        let token = token("deals/open".to_owned(), Some(7));
        assert_eq!(after("deals/open", &token), Ok(Some(7)));
        assert_eq!(after::<i64>("deals/closed", &token), Err(foreign()));
        assert_eq!(after::<i64>("deals/open", "x"), Err(foreign()));
        assert_eq!(after::<i64>("deals/open", ""), Ok(None));
        assert_eq!(super::token::<i64>("deals/open".to_owned(), None), "");
    }

    #[test]
    fn a_page_has_a_size_within_bounds() {
        assert_eq!([size(0), size(1), size(1_000)], [Ok(50), Ok(1), Ok(1_000)]);
        assert!(size(-1).is_err() && size(1_001).is_err());
    }
}
