//! What training and adaptation share: the loss, fused operations for burn's `flex` backend, seeded randomness.
//!
//! Knows no network, no stills' origin and no device.

mod kernels;
pub(crate) mod loss;
pub(crate) mod ops;
pub(crate) mod random;
