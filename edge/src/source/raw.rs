//! From a camera driver's buffer to a frame: rows may be padded, buffers may be short. No device is needed here,
//! so recorded buffers take the same way as live ones.

use crate::frame::{FrameBuffer, FramePool, Geometry, PixelFormat};
use crate::source::fault::Fault;
use crate::source::{jpeg, mjpeg};

/// What a driver's bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawFormat {
    Nv12,
    Yuyv,
    Grey,
    /// One JPEG picture a buffer.
    Mjpeg,
}

impl RawFormat {
    /// In the order in which they are asked for: what needs no decoding first.
    pub(super) const ALL: [Self; 4] = [Self::Nv12, Self::Yuyv, Self::Grey, Self::Mjpeg];

    /// V4L2's code.
    pub(super) fn fourcc(self) -> &'static [u8; 4] {
        match self {
            Self::Nv12 => b"NV12",
            Self::Yuyv => b"YUYV",
            Self::Grey => b"GREY",
            Self::Mjpeg => b"MJPG",
        }
    }

    fn pixel_format(self) -> PixelFormat {
        match self {
            Self::Nv12 => PixelFormat::Nv12,
            Self::Yuyv => PixelFormat::Yuyv,
            Self::Grey => PixelFormat::Grey8,
            Self::Mjpeg => PixelFormat::Rgb8,
        }
    }
}

/// How a driver lays out its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    format: RawFormat,
    geometry: Geometry,
    /// Bytes from one row to the next.
    stride: usize,
}

impl Layout {
    /// `stride` 0 stands for rows without padding.
    ///
    /// # Errors
    /// A size out of bounds or odd in NV12 (which no driver makes), or a stride shorter than a row.
    pub(super) fn new(format: RawFormat, width: u32, height: u32, stride: u32) -> Result<Self, Fault> {
        let geometry = Geometry::new(format.pixel_format(), width, height)?;
        if format == RawFormat::Nv12 && (width % 2 == 1 || height % 2 == 1) {
            return Err(Fault::Unsupported(format!("NV12 of {width}x{height}")));
        }
        let row = geometry.planes().into_iter().map(|p| p.stride).max().unwrap_or(0);
        let stride = if stride == 0 || format == RawFormat::Mjpeg { row } else { stride as usize };
        if stride < row {
            return Err(Fault::Corrupt(format!("the driver says {stride} bytes a row where {row} are needed")));
        }
        Ok(Self { format, geometry, stride })
    }

    /// Size and layout of the frames.
    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// A frame's samples from the filled part of a driver's buffer.
    ///
    /// # Errors
    /// The buffer is shorter than a frame, or its JPEG does not decode.
    pub(super) fn frame(&self, bytes: &[u8], pool: &FramePool) -> Result<FrameBuffer, Fault> {
        if self.format == RawFormat::Mjpeg {
            return mjpeg::decode(bytes, jpeg::ended(bytes), self.geometry, pool);
        }
        // Packed and grey rows come once, NV12 has half as many again for chroma.
        let height = self.geometry.height() as usize;
        let rows = if self.format == RawFormat::Nv12 { height + height / 2 } else { height };
        let mut buffer = pool.take(self.geometry.bytes());
        let row = buffer.as_mut_slice().len() / rows;
        // The last row's padding need not be there.
        let needed = (rows - 1) * self.stride + row;
        if bytes.len() < needed {
            return Err(Fault::Corrupt(format!("the camera gave {} bytes where {needed} were due", bytes.len())));
        }
        for (to, from) in buffer.as_mut_slice().chunks_exact_mut(row).zip(bytes.chunks(self.stride)) {
            to.copy_from_slice(&from[..row]);
        }
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A driver's buffer: row `n` holds `n`, padding holds 255.
    fn recorded(rows: usize, row: usize, stride: usize) -> Vec<u8> {
        (0..rows).flat_map(|n| (0..stride).map(move |x| if x < row { n as u8 } else { 255 })).collect()
    }

    #[test]
    fn padded_rows_become_frames_without_padding() {
        let pool = FramePool::new();
        for (format, w, h, rows, row) in
            [(RawFormat::Nv12, 6, 4, 6, 6), (RawFormat::Yuyv, 6, 4, 4, 12), (RawFormat::Grey, 5, 3, 3, 5)]
        {
            for stride in [row, row + 1, 64] {
                let layout = Layout::new(format, w, h, stride as u32).unwrap();
                let bytes = recorded(rows, row, stride);
                let frame = layout.frame(&bytes, &pool).unwrap();
                assert_eq!(frame.as_slice(), recorded(rows, row, row), "{format:?} {stride}");
                // The last row's padding may be missing, a sample may not.
                let least = bytes.len() - (stride - row);
                assert!(layout.frame(&bytes[..least], &pool).is_ok());
                assert!(matches!(layout.frame(&bytes[..least - 1], &pool), Err(Fault::Corrupt(_))));
                assert!(layout.frame(&[], &pool).is_err());
            }
            assert!(Layout::new(format, w, h, 1).is_err());
        }
    }

    #[test]
    fn a_camera_that_stops_mid_picture_gives_no_frame() {
        let mut jpeg = Vec::new();
        let rgb: Vec<u8> = (0..64 * 48 * 3).map(|i| (i % 251) as u8).collect();
        jpeg_encoder::Encoder::new(&mut jpeg, 80).encode(&rgb, 64, 48, jpeg_encoder::ColorType::Rgb).unwrap();
        let pool = FramePool::new();
        let layout = Layout::new(RawFormat::Mjpeg, 64, 48, 0).unwrap();
        assert!(layout.frame(&jpeg, &pool).is_ok());
        // Drivers give the whole buffer: what follows the picture is left alone.
        assert!(layout.frame(&[&jpeg[..], &[0; 500]].concat(), &pool).is_ok());
        for cut in [0, 1, 20, jpeg.len() / 2, jpeg.len() - 40] {
            assert!(layout.frame(&jpeg[..cut], &pool).is_err(), "cut at {cut} of {}", jpeg.len());
        }
        let other = Layout::new(RawFormat::Mjpeg, 64, 64, 0).unwrap();
        assert!(other.frame(&jpeg, &pool).is_err());
    }

    proptest! {
        #[test]
        fn any_buffer_is_a_frame_or_an_error(
            format in 0usize..4, w in 1u32..40, h in 1u32..40, stride in 0u32..100,
            bytes in proptest::collection::vec(any::<u8>(), 0..4000),
        ) {
            if let Ok(layout) = Layout::new(RawFormat::ALL[format], w, h, stride) {
                let _ = layout.frame(&bytes, &FramePool::new());
            }
        }
    }
}
