//! Network cameras: RTSP with H.264, RTP interleaved in the one TCP connection. A thread of its own receives; decoding
//! happens where frames are asked for. The queue between them is bounded: a pipeline that lags holds the
//! connection back (the camera or the network then drops), and memory stays bounded.
//!
//! Name and password in the address are used and never shown.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, TcpTransportOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoParametersCodec};
use url::Url;

use crate::frame::{FramePool, RawFrame};
use crate::source::h264::{self, Decode, Format, Picture};
use crate::source::orient::Orientation;
use crate::source::{MediaKind, Next, OpenOptions, Rate, Source, SourceError, StreamInfo};

/// Access units that wait for decoding: a second or two.
const QUEUE: usize = 32;

/// What the receiving thread sends.
enum Message {
    Started {
        format: Format,
        rate: Option<Rate>,
    },
    AccessUnit {
        pts: i64,
        clock: u32,
        bytes: Vec<u8>,
    },
    /// The last: a camera does not end in order.
    Failed(String),
}

struct Camera {
    name: String,
    info: StreamInfo,
    messages: Receiver<Message>,
    decode: Decode,
    timeout: Duration,
    clock: u32,
    first_pts: Option<i64>,
    last_time: Duration,
    index: u64,
    /// The last message, once it came: pictures inside the decoder are given first.
    over: Option<String>,
}

pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, SourceError> {
    let text = path.to_string_lossy();
    let address = parse(&text);
    let name = address.as_ref().map_or_else(|| "rtsp://...".to_owned(), |a| a.shown.clone());
    let failed = |reason: String| SourceError::Camera { name: name.clone(), reason };
    let address = address.ok_or_else(|| failed("this is not an address like rtsp://host:port/path".into()))?;
    let (sender, messages) = sync_channel(QUEUE);
    let timeout = options.camera_timeout;
    std::thread::Builder::new()
        .name("rtsp".into())
        .spawn(move || receive(address, timeout, &sender))
        .map_err(|e| failed(format!("no thread for it: {e}")))?;
    let (format, rate) = match messages.recv() {
        Ok(Message::Started { format, rate }) => (format, rate),
        Ok(Message::Failed(reason)) => return Err(failed(reason)),
        _ => return Err(failed("it ended before it began".into())),
    };
    let decode = Decode::new(format.geometry, Orientation::NoTransforms).map_err(|f| failed(f.to_string()))?;
    let info = StreamInfo {
        kind: MediaKind::Live,
        geometry: format.geometry,
        color: h264::color(&format, None),
        rate: rate.unwrap_or(Rate::ASSUMED),
        frames: None,
    };
    Ok(Box::new(Camera {
        name,
        info,
        messages,
        decode,
        timeout,
        clock: 90_000,
        first_pts: None,
        last_time: Duration::ZERO,
        index: 0,
        over: None,
    }))
}

/// The host and the port of an address.
pub(super) fn host(path: &Path) -> Option<(String, u16)> {
    let url = parse(&path.to_string_lossy())?.url;
    Some((url.host_str()?.to_owned(), url.port().unwrap_or(554)))
}

struct Address {
    /// Without name and password.
    url: Url,
    credentials: Option<Credentials>,
    shown: String,
}

fn parse(text: &str) -> Option<Address> {
    let mut url = Url::parse(text).ok()?;
    let decode = |s: &str| percent_encoding::percent_decode_str(s).decode_utf8_lossy().into_owned();
    let credentials = (!url.username().is_empty()).then(|| Credentials {
        username: decode(url.username()),
        password: decode(url.password().unwrap_or_default()),
    });
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    // A query may hold a password as well.
    let mut shown = url.clone();
    if shown.query().is_some() {
        shown.set_query(Some("..."));
    }
    let shown = shown.to_string();
    Some(Address { url, credentials, shown })
}

impl Source for Camera {
    fn info(&self) -> &StreamInfo {
        &self.info
    }

    fn next(&mut self, pool: &FramePool) -> Result<Next, SourceError> {
        loop {
            if let Some(picture) = self.decode.pop() {
                return self.emit(picture);
            }
            if let Some(reason) = &self.over {
                return Err(self.failed(reason.clone()));
            }
            match self.messages.recv_timeout(self.timeout) {
                Ok(Message::AccessUnit { pts, clock, bytes }) => {
                    self.clock = clock;
                    self.decode.push(pts, Ok(&bytes), pool);
                }
                Ok(Message::Started { .. }) => {}
                Ok(Message::Failed(reason)) => self.end(reason, pool),
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.timeout.as_secs_f32();
                    self.end(format!("it gave no frame for {seconds} s; check the network"), pool);
                }
                Err(RecvTimeoutError::Disconnected) => self.end("its receiver stopped".into(), pool),
            }
        }
    }
}

impl Camera {
    fn failed(&self, reason: String) -> SourceError {
        SourceError::Camera { name: self.name.clone(), reason }
    }

    fn end(&mut self, reason: String, pool: &FramePool) {
        self.decode.finish(pool);
        self.over = Some(reason);
    }

    fn emit(&mut self, picture: Picture) -> Result<Next, SourceError> {
        let first = *self.first_pts.get_or_insert(picture.pts);
        let ticks = u128::try_from(picture.pts.saturating_sub(first)).unwrap_or(0);
        let nanos = ticks * 1_000_000_000 / u128::from(self.clock.max(1));
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(self.last_time);
        self.last_time = time;
        let index = self.index;
        self.index += 1;
        match picture.samples {
            Ok(buffer) => {
                let frame = RawFrame::new(index, time, self.info.geometry, self.info.color, buffer);
                frame.map(Next::Frame).map_err(|e| self.failed(e.to_string()))
            }
            Err(reason) => Ok(Next::Lost { index, time, reason }),
        }
    }
}

/// The thread's body: everything until the stream is over or nobody listens any more.
fn receive(address: Address, timeout: Duration, to: &SyncSender<Message>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let last = match runtime {
        Ok(runtime) => runtime.block_on(stream(address, timeout, to)),
        Err(error) => Err(format!("no runtime for it: {error}")),
    };
    if let Err(reason) = last {
        // Fails only where nobody listens any more.
        to.send(Message::Failed(reason)).ok();
    }
}

/// Returns without an error only when nobody listens any more.
async fn stream(address: Address, timeout: Duration, to: &SyncSender<Message>) -> Result<(), String> {
    let connecting = tokio::time::timeout(timeout, connect(address));
    let (mut session, video) =
        connecting.await.map_err(|_| "it does not answer; check address and network".to_owned())??;
    let mut started = false;
    let mut waiting_for_key = true;
    loop {
        let item = tokio::time::timeout(timeout, session.next()).await;
        let item = item.map_err(|_| format!("it gave nothing for {} s; check the network", timeout.as_secs_f32()))?;
        let frame = match item {
            None => return Err("it closed the connection; check the camera, then start again".into()),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(CodecItem::VideoFrame(frame))) if frame.stream_id() == video => frame,
            Some(Ok(_)) => continue,
        };
        if !started {
            let Some((format, rate)) = parameters(&session, video)? else { continue };
            if to.send(Message::Started { format, rate }).is_err() {
                return Ok(());
            }
            started = true;
        }
        // A stream may be joined, or resumed after loss, at a key frame only.
        waiting_for_key =
            (waiting_for_key || frame.loss() > 0 && !frame.is_random_access_point()) && !frame.is_random_access_point();
        if waiting_for_key {
            continue;
        }
        let stamp = frame.timestamp();
        let (pts, clock) = (stamp.elapsed(), stamp.clock_rate().get());
        if to.send(Message::AccessUnit { pts, clock, bytes: frame.into_data() }).is_err() {
            return Ok(());
        }
    }
}

async fn connect(address: Address) -> Result<(Demuxed, usize), String> {
    let say = |e: retina::Error| e.to_string();
    let options = SessionOptions::default().creds(address.credentials).user_agent("volet".into());
    let mut session = Session::describe(address.url, options).await.map_err(say)?;
    let streams = session.streams().iter();
    let offered: Vec<_> = streams.clone().map(|s| format!("{} {}", s.media(), s.encoding_name())).collect();
    let video = session.streams().iter().position(|s| s.media() == "video" && s.encoding_name() == "h264");
    let video = video.ok_or_else(|| format!("it offers {offered:?}, but H.264 video is needed"))?;
    let setup = SetupOptions::default()
        .transport(Transport::Tcp(TcpTransportOptions::default()))
        .frame_format(FrameFormat::SIMPLE);
    session.setup(video, setup).await.map_err(say)?;
    let session = session.play(PlayOptions::default()).await.map_err(say)?;
    Ok((session.demuxed().map_err(say)?, video))
}

fn parameters(session: &Demuxed, video: usize) -> Result<Option<(Format, Option<Rate>)>, String> {
    let Some(ParametersRef::Video(parameters)) = session.streams().get(video).and_then(|s| s.parameters()) else {
        return Ok(None);
    };
    let VideoParametersCodec::H264 { sps, .. } = parameters.codec_params() else {
        return Err("its video is not H.264".into());
    };
    let format = h264::parse_sps(sps).map_err(|f| f.to_string())?;
    // Seconds per frame, as a fraction.
    let rate = parameters.frame_rate().map(|(seconds, per)| Rate { num: per, den: seconds });
    Ok(Some((format, rate.filter(|r| r.num > 0 && r.den > 0))))
}

#[cfg(test)]
mod tests {
    //! Against GStreamer's RTSP server (Debian: `gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good
    //! gstreamer1.0-plugins-bad`), which plays a file that `ffmpeg` makes, behind a password.

    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    const SERVER: &str = r#"
import sys, gi
gi.require_version('Gst', '1.0')
gi.require_version('GstRtspServer', '1.0')
from gi.repository import GLib, Gst, GstRtspServer as Rtsp
Gst.init(None)
server = Rtsp.RTSPServer.new()
server.set_address('127.0.0.1')
server.set_service('0')
auth = Rtsp.RTSPAuth.new()
token = Rtsp.RTSPToken.new()
token.set_string('media.factory.role', 'owner')
auth.add_basic(Rtsp.RTSPAuth.make_basic('owner', 'se:cret'), token)
server.set_auth(auth)
factory = Rtsp.RTSPMediaFactory.new()
factory.add_role_from_structure(Gst.Structure.from_string(
    'owner, media.factory.access=(boolean)true, media.factory.construct=(boolean)true')[0])
factory.set_launch(
    '( filesrc location="%s" ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )' % sys.argv[1])
server.get_mount_points().add_factory('/cam', factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"#;

    struct Server(Child);

    impl Drop for Server {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    fn serve(dir: &Path) -> Option<(Server, u16)> {
        let clip = dir.join("x.mp4");
        let args = "-v error -f lavfi -i testsrc2=s=160x96:r=25:d=20 -c:v libx264 -bf 0 -g 10 -pix_fmt yuv420p";
        let made = Command::new("ffmpeg").args(args.split(' ')).arg(&clip).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: ffmpeg is not installed");
            return None;
        }
        let server = Command::new("/usr/bin/python3").args(["-c", SERVER]).arg(&clip).stdout(Stdio::piped()).spawn();
        let mut server = Server(server.ok()?);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take()?).read_line(&mut line).ok()?;
        let port = line.trim().parse().ok();
        if port.is_none() {
            eprintln!("skipped: GStreamer's RTSP server is not installed");
        }
        Some((server, port?))
    }

    #[test]
    fn frames_come_from_a_real_server_and_its_end_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let Some((server, port)) = serve(dir.path()) else { return };
        let options = OpenOptions { camera_timeout: Duration::from_secs(20), ..OpenOptions::default() };

        let wrong = format!("rtsp://owner:guess@127.0.0.1:{port}/cam");
        let error = open(Path::new(&wrong), &options).err().unwrap().to_string();
        assert!(!error.contains("guess") && error.contains("127.0.0.1"), "{error}");

        let address = format!("rtsp://owner:se%3Acret@127.0.0.1:{port}/cam");
        let mut camera = open(Path::new(&address), &options).unwrap();
        let info = camera.info().clone();
        assert_eq!((info.geometry.width(), info.geometry.height(), info.kind), (160, 96, MediaKind::Live));
        let pool = FramePool::new();
        for n in 0..30 {
            match camera.next(&pool).unwrap() {
                Next::Frame(frame) => {
                    assert_eq!(frame.index(), n);
                    let off = frame.time().abs_diff(Duration::from_millis(40 * n));
                    assert!(off < Duration::from_millis(2), "frame {n} is off by {off:?}");
                }
                other => panic!("frame {n}: {other:?}"),
            }
        }
        drop(server);
        let error = loop {
            match camera.next(&pool) {
                Ok(Next::End) => panic!("a killed server is no orderly end"),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("127.0.0.1") && !error.contains("cret"), "{error}");
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        let address = parse("rtsp://a%40b:p%3Aw@cam.local:8554/live?token=abc&x=1").unwrap();
        assert_eq!(address.shown, "rtsp://cam.local:8554/live?...");
        assert_eq!(address.url.as_str(), "rtsp://cam.local:8554/live?token=abc&x=1");
        let credentials = address.credentials.unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("a@b", "p:w"));
        let error = open(Path::new("rtsp://user:pw@[not"), &OpenOptions::default()).err().unwrap().to_string();
        assert!(!error.contains("pw"), "{error}");
    }
}
