//! What a coupon is worth, as the flags say it. A new deal says it, and a change of a deal may.

use clap::ArgGroup;
use kit::error::Invalid;
use proto::promotion::v1 as pb;
use proto::r#type::v1::Money;

/// The flags. Amounts are whole numbers of the smallest unit of their currency, as they are everywhere in Booster.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What a coupon is worth")]
#[command(group = ArgGroup::new("money").args(["amount", "max_amount", "min_order"]).multiple(true))]
#[group(skip)]
pub(super) struct Worth {
    #[command(flatten)]
    off: Off,
    /// At most this much off, in the smallest unit of the currency; goes with --percent
    #[arg(long, value_name = "UNITS", requires = "currency", requires = "percent", conflicts_with = "amount")]
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    max_amount: Option<i64>,
    /// Only for orders worth at least this much, in the smallest unit of the currency
    #[arg(long, value_name = "UNITS", requires = "currency", requires = "off")]
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    min_order: Option<i64>,
    /// The currency of these amounts, ISO 4217 as in KRW
    #[arg(long, value_name = "CODE", requires = "money")]
    currency: Option<String>,
    /// How long after the claim a coupon is valid; without it for ever
    #[arg(long, value_name = "TIME", requires = "off", value_parser = humantime::parse_duration)]
    valid_for: Option<std::time::Duration>,
}

/// How much is taken off: one of them. Whether one is needed is the command's to say.
#[derive(Debug, clap::Args)]
#[group(id = "off", multiple = false)]
struct Off {
    /// Per cent off, 1 to 100
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100))]
    percent: Option<i32>,
    /// A fixed amount off, in the smallest unit of the currency: 5000 is 5000 won, or 50 euros
    #[arg(long, value_name = "UNITS", requires = "currency")]
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    amount: Option<i64>,
}

impl Worth {
    /// The prize, where the flags speak of one.
    pub(super) fn prize(&self) -> Result<Option<pb::Prize>, Invalid> {
        let money = |minor_units| Money { currency: self.currency.clone().unwrap_or_default(), minor_units };
        let off = match (self.off.percent, self.off.amount) {
            (Some(percent), _) => pb::discount::Off::Percent(percent),
            (None, Some(amount)) => pb::discount::Off::Amount(money(amount)),
            (None, None) => return Ok(None),
        };
        let valid_for = self.valid_for.map(prost_types::Duration::try_from).transpose();
        let discount = pb::Discount {
            off: Some(off),
            max_amount: self.max_amount.map(money),
            min_order: self.min_order.map(money),
            valid_for: valid_for.map_err(|_| Invalid::new("--valid-for", "is too long"))?,
        };
        Ok(Some(pb::Prize { kind: Some(pb::prize::Kind::Discount(discount)) }))
    }
}
