//! Rules of deals.
