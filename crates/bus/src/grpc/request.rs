//! Protobuf -> what an operator wants. Everything is checked before anything is done.

use kit::error::Invalid;
use proto::bus::v1 as pb;

use crate::dead_letter::Filter;
use crate::repair::Deed;
use crate::repair::all::{Name, Orders};
use crate::repair::replay::{PER_SECOND, PER_SECOND_MOST};

/// Characters of an operator's name, at most.
const OPERATOR_LONGEST: usize = 100;
/// Characters of a reason, at most.
const WHY_LONGEST: usize = 1_000;
/// Characters of what is looked for, at most.
const WORDS_LONGEST: usize = 1_024;
/// Dead letters that one request names, at most.
const NAMED_MOST: usize = 1_000;

/// The page of dead letters asked for.
pub(super) struct Page {
    pub(super) filter: Filter,
    pub(super) after: Option<Name>,
    pub(super) size: i64,
}

impl Page {
    pub(super) fn read(asked: &pb::ListDeadLettersRequest) -> Result<Self, Invalid> {
        let filter = Filter {
            consumer: words("consumer", &asked.consumer)?,
            cause: words("cause", &asked.cause)?,
            ..Filter::default()
        };
        let mut page = Self { filter, after: None, size: kit::page::size(asked.page_size)? };
        page.after = kit::page::after(&page.list(), &asked.page_token)?;
        Ok(page)
    }

    /// The list that it is a page of.
    pub(super) fn list(&self) -> String {
        format!("dead_letters/{:?}/{:?}", self.filter.consumer, self.filter.cause)
    }
}

pub(super) fn orders(asked: pb::ReplayDeadLettersRequest) -> Result<Orders, Invalid> {
    let filter = asked.filter.unwrap_or_default();
    let field = "filter.dead_letter_ids";
    if filter.dead_letter_ids.len() > NAMED_MOST {
        return Err(Invalid::new(field, format!("has more than {NAMED_MOST}")));
    }
    Ok(Orders {
        named: filter.dead_letter_ids.iter().map(|asked| name(field, asked)).collect::<Result<_, _>>()?,
        after: if asked.after.is_empty() { None } else { Some(name("after", &asked.after)?) },
        filter: Filter {
            consumer: words("filter.consumer", &filter.consumer)?,
            cause: words("filter.cause", &filter.cause)?,
            parking_key: words("filter.parking_key", &filter.parking_key)?,
            ..Filter::default()
        },
        per_second: per_second(asked.per_second)?,
        dry_run: asked.dry_run,
        operator: text("operator", &asked.operator, OPERATOR_LONGEST)?,
    })
}

pub(super) fn deed(operator: &str, why: &str) -> Result<Deed, Invalid> {
    let why = text("why", why, WHY_LONGEST)?;
    Ok(Deed { operator: text("operator", operator, OPERATOR_LONGEST)?, why })
}

/// `<service>-<number>`. Whether that service is here is another question.
pub(super) fn name(field: &'static str, asked: &str) -> Result<Name, Invalid> {
    let wrong = || Invalid::new(field, format!("is {asked:?}; it is like promotion-7"));
    let (service, number) = asked.rsplit_once('-').ok_or_else(wrong)?;
    kit::id::check(service, field, kit::id::LONGEST)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let id = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    Ok(Name { service: service.to_owned(), id })
}

fn per_second(asked: i32) -> Result<u32, Invalid> {
    match u32::try_from(asked) {
        Ok(0) => Ok(PER_SECOND),
        Ok(asked @ 1..=PER_SECOND_MOST) => Ok(asked),
        Ok(_) | Err(_) => {
            let why = format!("is {asked}; it is 1 to {PER_SECOND_MOST}, or 0 for {PER_SECOND}");
            Err(Invalid::new("per_second", why))
        }
    }
}

/// What is looked for; nothing where it is empty.
fn words(field: &'static str, asked: &str) -> Result<Option<String>, Invalid> {
    if asked.is_empty() { Ok(None) } else { text(field, asked, WORDS_LONGEST).map(Some) }
}

fn text(field: &'static str, asked: &str, longest: usize) -> Result<String, Invalid> {
    if asked.trim().is_empty() {
        Err(Invalid::new(field, "is empty"))
    } else if asked.chars().count() > longest {
        Err(Invalid::new(field, format!("has more than {longest} characters")))
    } else if asked.contains('\0') {
        Err(Invalid::new(field, "has a zero byte"))
    } else {
        Ok(asked.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_service_and_a_number() {
        let seven = Name { service: "promotion".to_owned(), id: 7 };
        assert_eq!(name("dead_letter_id", "promotion-7"), Ok(seven));
        for wrong in ["", "7", "-7", "promotion", "promotion-", "promotion-+7", "promotion-x", "a b-7"] {
            assert!(name("dead_letter_id", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_deed_has_a_doer_and_a_reason() {
        assert_eq!(deed("ann", " ").unwrap_err().field, "why");
        assert_eq!(deed("", "a test").unwrap_err().field, "operator");
        assert_eq!(deed("ann", "a\0b").unwrap_err().field, "why");
        assert!(deed(&"a".repeat(OPERATOR_LONGEST + 1), "a test").is_err());
        assert!(deed("ann", "a test").is_ok());
    }

    #[test]
    fn a_rate_has_bounds() {
        assert_eq!([per_second(0), per_second(1), per_second(1_000)], [Ok(PER_SECOND), Ok(1), Ok(1_000)]);
        assert!(per_second(-1).is_err() && per_second(1_001).is_err());
    }
}
