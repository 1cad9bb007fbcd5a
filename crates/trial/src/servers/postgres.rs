//! PostgreSQL is hurt.

use super::{POSTGRES, Private, done};

impl Private {
    /// PostgreSQL as after a crash: no shutdown, recovery at the start.
    pub fn crash_postgres(&self) {
        done(self.script("postgres", &["restart-immediate", &self.place()]));
    }

    /// PostgreSQL is away: its sessions are ended, and nothing listens.
    pub fn stop_postgres(&self) {
        done(self.script("postgres", &["stop", &self.place()]));
    }

    /// Starts PostgreSQL again on its own disk, and waits until it answers.
    pub fn restart_postgres(&self) {
        done(self.script("postgres", &["start", &self.place(), &(self.port + POSTGRES).to_string()]));
    }
}
