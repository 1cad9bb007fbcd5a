//! Payloads as JSON, by the contracts of all services.

use std::sync::LazyLock;

use kit::error::Invalid;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::dead_letter::Refusal;
use crate::repair::Error;

/// Every message of every contract.
static CONTRACTS: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(proto::DESCRIPTORS).unwrap_or_default());

/// The payload as JSON, for people to read and to edit: with every field, as the contract names it. Nothing where it is not a
/// message of its type.
pub(super) fn to_json(kind: &str, payload: &[u8]) -> Option<String> {
    let message = DynamicMessage::decode(find(kind)?, payload).ok()?;
    let mut json = serde_json::Serializer::pretty(Vec::new());
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    message.serialize_with_options(&mut json, &options).ok()?;
    String::from_utf8(json.into_inner()).ok()
}

/// The payload that this JSON says.
pub(super) fn from_json(kind: &str, json: &str) -> Result<Vec<u8>, Error> {
    let message = find(kind).ok_or_else(|| Refusal::UnknownType(kind.to_owned()))?;
    let wrong = |why: serde_json::Error| Invalid::new("payload_json", format!("is not a {kind}: {why}"));
    let mut text = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(message, &mut text).map_err(wrong)?;
    text.end().map_err(wrong)?;
    Ok(message.encode_to_vec())
}

fn find(kind: &str) -> Option<MessageDescriptor> {
    CONTRACTS.get_message_by_name(kind)
}

#[cfg(test)]
mod tests {
    use proto::promotion::v1::{Coupon, CouponClaimed};

    use super::*;

    const KIND: &str = "booster.promotion.v1.CouponClaimed";

    fn claimed() -> Vec<u8> {
        let coupon = Coupon { coupon_id: "lunch-7".to_owned(), rank: 7, ..Coupon::default() };
        CouponClaimed { coupon: Some(coupon), seat: 3 }.encode_to_vec()
    }

    #[test]
    fn a_payload_comes_back_from_its_json() {
        let json = to_json(KIND, &claimed()).unwrap();
        assert!(json.contains("\"coupon_id\": \"lunch-7\"") && json.contains("\"order_id\": \"\""), "{json}");
        assert_eq!(from_json(KIND, &json).unwrap(), claimed());
        let edited = json.replace("lunch-7", "lunch-8");
        let edited = CouponClaimed::decode(from_json(KIND, &edited).unwrap().as_slice()).unwrap();
        assert_eq!(edited.coupon.unwrap().coupon_id, "lunch-8");
    }

    #[test]
    fn what_is_not_of_its_type_is_not_json_and_not_a_payload() {
        assert_eq!(to_json(KIND, b"not a coupon"), None);
        assert_eq!(to_json("booster.promotion.v9.CouponClaimed", b""), None);
        for json in ["", "{", "[]", r#"{"seat": "x"}"#, r#"{"chair": 1}"#, "{} {}"] {
            assert!(matches!(from_json(KIND, json), Err(Error::Invalid(_))), "{json}");
        }
        assert!(matches!(from_json("booster", "{}"), Err(Error::Refused(Refusal::UnknownType(_)))));
    }
}
