//! YUV4MPEG2. The layout is the frame's own where the format has it: NV12 becomes 4:2:0, YUYV 4:2:2, RGB 4:4:4.
//! Frames have no times there: the rate is all that is kept.

use crate::frame::{PixelFormat, Range};
use crate::redact::Redacted;
use crate::sink::{Encode, Fail, Out, pixels};
use crate::source::StreamInfo;

pub(super) struct Y4m {
    scratch: Vec<u8>,
}

impl Y4m {
    pub(super) fn new(info: &StreamInfo, out: &mut dyn Out) -> Result<Self, Fail> {
        let layout = match info.geometry.format() {
            PixelFormat::I420 | PixelFormat::Nv12 => "420jpeg",
            PixelFormat::I422 | PixelFormat::Yuyv => "422",
            PixelFormat::I444 | PixelFormat::Rgb8 => "444",
            PixelFormat::Grey8 => "mono",
        };
        let full = info.color.range == Range::Full && info.geometry.format() != PixelFormat::Rgb8;
        writeln!(
            out,
            "YUV4MPEG2 W{} H{} F{}:{} Ip A1:1 C{layout} XCOLORRANGE={}",
            info.geometry.width(),
            info.geometry.height(),
            info.rate.num,
            info.rate.den,
            if full { "FULL" } else { "LIMITED" }
        )?;
        Ok(Self { scratch: Vec::new() })
    }
}

impl Encode for Y4m {
    fn write(&mut self, frame: &Redacted, out: &mut dyn Out) -> Result<(), Fail> {
        out.write_all(b"FRAME\n")?;
        out.write_all(pixels::planar(frame, &mut self.scratch))?;
        Ok(())
    }

    fn finish(&mut self, _: &mut dyn Out) -> Result<(), Fail> {
        Ok(())
    }
}
