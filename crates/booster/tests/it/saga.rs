//! The saga among the real services, each a process of its own, and the sandbox provider: whatever dies, each order ends paid with all
//! effects once, or undone with none. The verdict is the provider's log, PostgreSQL and Redis.

mod again;
mod case;
mod house;
mod matrix;
mod storm;
