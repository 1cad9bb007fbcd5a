//! Code generated from `proto/`, and nothing else: one module per package, plus the [`DESCRIPTORS`] that reflection
//! answers from.
#![expect(
    missing_docs,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated: the documentation of a field is the comment in its .proto file"
)]

/// The encoded `FileDescriptorSet` of every package, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// `booster.type.v1`: what several services speak of.
pub mod r#type {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.r#type.v1");
    }
}

/// `booster.bus.v1`: what operators ask of every service.
pub mod bus {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.bus.v1");
    }
}

/// `booster.promotion.v1`: time deals and first-come coupons.
pub mod promotion {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.promotion.v1");
    }
}

/// `booster.order.v1`: orders, their stock and their saga.
pub mod order {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.order.v1");
    }
}

/// `booster.point.v1`: the ledger of points.
pub mod point {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.point.v1");
    }
}

/// `booster.payment.v1`: charges and refunds.
pub mod payment {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.payment.v1");
    }
}

/// `booster.ranking.v1`: what is popular.
pub mod ranking {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.ranking.v1");
    }
}

/// `booster.reservation.v1`: what order expects of whoever holds tables.
pub mod reservation {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("booster.reservation.v1");
    }
}
