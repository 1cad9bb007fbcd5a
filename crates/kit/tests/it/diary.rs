//! What happened, in order.

use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<Vec<&'static str>>>);

impl Diary {
    pub fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    pub fn read(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}
