//! Cameras on `/dev/videoN` (Linux), through memory-mapped buffers. What their bytes mean is `raw`'s matter.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use linuxvideo::format::PixFormat;
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device, Fract};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::frame::{Color, FramePool, RawFrame};
use crate::source::raw::{Layout, RawFormat};
use crate::source::{Fault, MediaKind, Next, OpenOptions, Rate, Source, SourceError, StreamInfo};

struct Camera {
    name: String,
    info: StreamInfo,
    layout: Layout,
    stream: ReadStream,
    timeout: Duration,
    started: Option<Instant>,
    index: u64,
}

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    let name = path.display().to_string();
    let camera = |reason: String| SourceError::Camera { name: name.clone(), reason };
    let failed = |doing: &str| {
        let doing = doing.to_owned();
        let camera = &camera;
        move |e: io::Error| camera(format!("cannot {doing}: {e}; check that no other program uses it"))
    };
    let device = Device::open(path).map_err(failed("open it as a video device"))?;
    let mut offered = Vec::new();
    for format in device.formats(BufType::VIDEO_CAPTURE) {
        offered.push(format.map_err(failed("list its formats"))?.pixel_format());
    }
    let wanted = RawFormat::ALL.into_iter().find_map(|format| {
        let code = format.fourcc().escape_ascii().to_string();
        offered.iter().find(|o| o.to_string() == code).map(|&o| (format, o))
    });
    let Some((format, code)) = wanted else {
        let list: Vec<_> = offered.iter().map(ToString::to_string).collect();
        return Err(camera(format!("it offers {list:?}, but NV12, YUYV, GREY or MJPG is needed")));
    };
    let (width, height) = options.camera_size;
    let capture = device.video_capture(PixFormat::new(width, height, code)).map_err(failed("set its format"))?;
    let set = capture.format();
    if set.pixel_format() != code {
        return Err(camera(format!("it was asked for {code} but set itself to {}", set.pixel_format())));
    }
    let layout = Layout::new(format, set.width(), set.height(), set.bytes_per_line());
    let layout = layout.map_err(|e| camera(e.to_string()))?;
    // Some cameras have one rate only and refuse to be asked.
    let asked = capture.set_frame_interval(Fract::new(1, options.camera_rate.max(1))).ok();
    let rate = asked.map(|f| Rate { num: f.denominator(), den: f.numerator() }).filter(|r| r.num > 0 && r.den > 0);
    let stream = capture.into_stream().map_err(failed("start it"))?;
    let geometry = layout.geometry();
    let color = if format == RawFormat::Mjpeg { Color::JPEG } else { Color::untagged(geometry.height()) };
    let rate = rate.unwrap_or(Rate { num: options.camera_rate.max(1), den: 1 });
    let info = StreamInfo { kind: MediaKind::Live, geometry, color, rate, frames: None };
    let timeout = options.camera_timeout;
    Ok(Box::new(Camera { name, info, layout, stream, timeout, started: None, index: 0 }))
}

impl Camera {
    fn failed(&self, reason: String) -> SourceError {
        SourceError::Camera { name: self.name.clone(), reason }
    }

    /// Waits for a filled buffer.
    fn wait(&self) -> Result<(), SourceError> {
        let limit = Timespec::try_from(self.timeout).map_err(|_| self.failed("the timeout is too long".into()))?;
        let fd = self.stream.as_fd();
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        loop {
            match poll(&mut fds, Some(&limit)) {
                Ok(0) => {
                    let seconds = self.timeout.as_secs_f32();
                    return Err(self.failed(format!("it gave no frame for {seconds} s; check its cable")));
                }
                Ok(_) if fds[0].revents().contains(PollFlags::IN) => return Ok(()),
                Ok(_) => return Err(self.failed("it is gone; check its cable".into())),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(self.failed(format!("waiting for a frame failed: {e}"))),
            }
        }
    }
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        self.wait()?;
        let layout = self.layout;
        let taken = self.stream.dequeue(|view| {
            let frame = match view.is_error() {
                true => Err(Fault::Corrupt("the driver marked the frame as damaged".into())),
                false => layout.frame(&view, pool),
            };
            Ok(frame)
        });
        let buffer = taken.map_err(|e| self.failed(format!("it is gone: {e}; check its cable")))?;
        let now = Instant::now();
        let time = now.duration_since(*self.started.get_or_insert(now));
        let index = self.index;
        self.index += 1;
        let geometry = self.info.geometry;
        match buffer.and_then(|b| Ok(RawFrame::new(index, time, geometry, self.info.color, b)?)) {
            Ok(frame) => Ok(Next::Frame(frame)),
            Err(fault) => Ok(Next::Lost { index, time, reason: fault.to_string() }),
        }
    }
}
