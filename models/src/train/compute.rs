//! Where a training step is computed, and by which operations. Knows nothing of networks and losses.

use crate::learning::ops::{self, BatchStatistics};
use burn::tensor::{Device, Tensor};

/// What computes training steps. On the processor the same recipe gives the same weights; cards may add in another
/// order from run to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compute {
    /// The processor: burn's `flex` backend with the fused operations of this crate.
    #[default]
    Cpu,
    /// The first NVIDIA card (feature `cuda`).
    #[cfg(feature = "cuda")]
    Cuda,
    /// The graphics card that Vulkan, Metal or DirectX offers first (feature `wgpu`).
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Compute {
    /// Every one that this build has, by the name it is asked for.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("cpu", Self::Cpu),
        #[cfg(feature = "cuda")]
        ("cuda", Self::Cuda),
        #[cfg(feature = "wgpu")]
        ("wgpu", Self::Wgpu),
    ];

    pub(super) fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "cuda")]
            Self::Cuda => Device::cuda(0),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        }
    }

    pub(super) fn conv(self, x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
        match self {
            Self::Cpu => ops::conv(x, weight, stride),
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            _ => ops::plain_conv(x, weight, stride),
        }
    }

    pub(super) fn norm(
        self,
        x: Tensor<3>,
        gamma: Tensor<1>,
        beta: Tensor<1>,
        relu: bool,
        statistics: BatchStatistics,
    ) -> Tensor<3> {
        match self {
            Self::Cpu => ops::norm(x, gamma, beta, relu, statistics),
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            _ => ops::plain_norm(x, gamma, beta, relu, &statistics),
        }
    }
}
