#![doc = include_str!("../README.md")]

/// The service's name: its role and schema in PostgreSQL, its keys, its topic, its consumer group.
pub const SERVICE: &str = "order";
