#![doc = include_str!("../README.md")]

pub mod boot;
pub mod grpc;
pub mod health;
pub mod telemetry;
pub mod postgres;
pub mod redis;
pub mod config;
pub mod id;
pub mod money;
pub mod page;
pub mod error;
pub mod clock;
