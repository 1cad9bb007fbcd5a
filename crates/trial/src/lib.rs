#![doc = include_str!("../README.md")]

pub mod orders;
pub mod rush;
pub mod bench;
pub mod provider;
pub mod process;
pub mod chaos;
pub mod servers;
pub mod topic;
pub mod ground;
