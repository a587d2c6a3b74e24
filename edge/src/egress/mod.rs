//! What leaves the device, and what is written down of it before it leaves.

pub mod ledger;
