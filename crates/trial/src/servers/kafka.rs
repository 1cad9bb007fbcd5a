//! Kafka is hurt.

use super::{KAFKA, Private, done, kill9, signal};

impl Private {
    /// kill -9 of Kafka.
    pub fn kill_kafka(&self) {
        let port = self.port + KAFKA;
        done(kill9(&self.folder.join("kafka/pid"), [port, port + 1]));
    }

    /// Starts Kafka again on its own disk, and waits until it answers.
    pub fn restart_kafka(&self) {
        done(self.script("kafka", &["start", &self.place(), &(self.port + KAFKA).to_string()]));
    }

    /// Kafka answers nothing, and its connections stay open.
    pub fn pause_kafka(&self) {
        done(signal(&self.folder.join("kafka/pid"), "STOP"));
    }

    /// Kafka goes on after [`Self::pause_kafka`].
    pub fn resume_kafka(&self) {
        done(signal(&self.folder.join("kafka/pid"), "CONT"));
    }
}
