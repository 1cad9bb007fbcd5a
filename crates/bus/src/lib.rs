#![doc = include_str!("../README.md")]

pub mod grpc;
pub mod repair;
pub mod relay;
pub mod consumer;
pub mod stamp;
pub mod fence;
pub mod arrival;
pub mod inbox;
pub mod outbox;
pub mod failed;
mod lease;
mod producer;
pub mod topic;
pub mod postgres;
pub mod redis;
pub mod journal;
pub mod dead_letter;
pub mod event;
