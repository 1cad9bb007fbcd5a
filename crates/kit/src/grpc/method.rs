//! The methods there are, so that a metric has as many series as there are methods and codes, whatever clients ask for.

use crate::error::Code;
use anyhow::Context;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use prost::Message;
use prost_types::FileDescriptorSet;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The name under which all methods are counted that do not exist.
const UNKNOWN: &str = "unknown";

/// Codes by number, as a metric's label.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A method and what is counted of it. Its metrics are looked up once, not at every call.
pub(super) struct Method {
    /// As in `booster.promotion.v1.PromotionService/ClaimCoupon`.
    pub(super) name: &'static str,
    /// Who refuses in its name, as in `promotion.booster`.
    pub(super) domain: &'static str,
    /// From the request's head to the answer's head.
    pub(super) seconds: Histogram,
    /// Requests in hand; a stream counts until it ends.
    pub(super) in_hand: Gauge,
    by_code: [OnceLock<Counter>; CODES.len()],
}

/// All methods of the descriptors that a process was started with, by path.
#[derive(Clone)]
pub(super) struct Methods(Arc<HashMap<String, &'static Method>>);

impl Methods {
    /// Reads encoded `FileDescriptorSet`s. What a method is called is kept for the life of the process.
    pub(super) fn read(descriptors: &[&[u8]]) -> anyhow::Result<Self> {
        let mut methods = HashMap::new();
        methods.insert(UNKNOWN.to_owned(), leak(UNKNOWN.to_owned(), "booster"));
        for encoded in descriptors {
            let set = FileDescriptorSet::decode(*encoded).context("the descriptors of the gRPC services")?;
            for file in set.file {
                for service in &file.service {
                    for method in &service.method {
                        let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                        methods.insert(format!("/{name}"), leak(name, file.package()));
                    }
                }
            }
        }
        Ok(Self(Arc::new(methods)))
    }

    /// The method at `path`, or the one that stands for all that do not exist.
    pub(super) fn at(&self, path: &str) -> &'static Method {
        self.0.get(path).copied().unwrap_or_else(|| self.0[UNKNOWN])
    }
}

impl Method {
    /// Counts a request that ended with `code`.
    pub(super) fn count(&self, code: Code) {
        let number = code as usize;
        let counter = self.by_code[number]
            .get_or_init(|| counter!("booster_rpc_requests_total", "method" => self.name, "code" => CODES[number]));
        counter.increment(1);
    }
}

fn leak(name: String, package: &str) -> &'static Method {
    let name: &'static str = name.leak();
    Box::leak(Box::new(Method {
        name,
        domain: domain(package).leak(),
        seconds: histogram!("booster_rpc_duration_seconds", "method" => name),
        in_hand: gauge!("booster_rpc_in_hand", "method" => name),
        by_code: [const { OnceLock::new() }; CODES.len()],
    }))
}

/// `booster.promotion.v1` refuses as `promotion.booster`; other packages as themselves.
fn domain(package: &str) -> String {
    match package.split('.').collect::<Vec<_>>()[..] {
        ["booster", service, ..] => format!("{service}.booster"),
        _ => package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_one_method() {
        let methods = Methods::read(&[tonic_health::pb::FILE_DESCRIPTOR_SET]).unwrap();
        let check = methods.at("/grpc.health.v1.Health/Check");
        assert_eq!((check.name, check.domain), ("grpc.health.v1.Health/Check", "grpc.health.v1"));
        assert_eq!(methods.at("/grpc.health.v1.Health/Chec").name, UNKNOWN);
        assert_eq!(methods.at("/../../etc/passwd").name, UNKNOWN);
    }

    #[test]
    fn a_service_refuses_in_its_own_name() {
        assert_eq!(domain("booster.promotion.v1"), "promotion.booster");
        assert_eq!(domain("grpc.health.v1"), "grpc.health.v1");
    }

    #[test]
    fn each_code_has_its_word() {
        for (number, word) in CODES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).unwrap());
            assert_eq!(format!("{code:?}").to_uppercase(), word.replace('_', ""));
        }
    }
}
