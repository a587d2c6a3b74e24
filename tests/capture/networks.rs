//! Two networks of their own on this machine, a camera's and an aggregator's, joined by one wire; and what is captured on it.
//!
//! They say nothing of themselves: no IPv6, and each knows the other's card, so that what is captured is what programs sent.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// The camera's address, the aggregator's, and that of somebody else on the aggregator's side.
pub(crate) const CAMERA: &str = "10.77.0.2";
pub(crate) const AGGREGATOR: &str = "10.77.0.1";
pub(crate) const STRANGER: &str = "10.77.0.66";
const CAMERA_CARD: &str = "02:00:00:00:77:02";
const AGGREGATOR_CARD: &str = "02:00:00:00:77:01";

/// The networks; gone when this is dropped.
pub(crate) struct Networks {
    camera: String,
    aggregator: String,
}

impl Networks {
    /// Makes them, or says why that cannot be done here.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let id = std::process::id();
        let networks = Self { camera: format!("volet-c{id}"), aggregator: format!("volet-a{id}") };
        let (camera, aggregator) = (networks.camera.as_str(), networks.aggregator.as_str());
        for name in [camera, aggregator] {
            ip(&["netns", "add", name])?;
            // Names are looked up on the aggregator's side, by programs that are started with `ip netns exec`.
            let folder = Path::new("/etc/netns").join(name);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("resolv.conf"), format!("nameserver {AGGREGATOR}\n"))?;
            for interface in ["all", "default"] {
                let off = format!("echo 1 > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
                // Where there is no IPv6 at all, so much the better.
                networks.command(name, "sh").args(["-c", &off]).stderr(Stdio::null()).status()?;
            }
        }
        let (near, far) = (format!("vc{id}"), format!("va{id}"));
        ip(&[
            "link",
            "add",
            &near,
            "address",
            CAMERA_CARD,
            "netns",
            camera,
            "type",
            "veth",
            "peer",
            "name",
            &far,
            "address",
            AGGREGATOR_CARD,
            "netns",
            aggregator,
        ])?;
        for (name, link, addresses) in [(camera, &near, &[CAMERA][..]), (aggregator, &far, &[AGGREGATOR, STRANGER])] {
            for address in addresses {
                ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", link])?;
            }
            for link in ["lo", link] {
                ip(&["-n", name, "link", "set", link, "up"])?;
            }
        }
        for (name, link, address, card) in [
            (camera, &near, AGGREGATOR, AGGREGATOR_CARD),
            (camera, &near, STRANGER, AGGREGATOR_CARD),
            (aggregator, &far, CAMERA, CAMERA_CARD),
        ] {
            ip(&["-n", name, "neighbour", "replace", address, "lladdr", card, "dev", link, "nud", "permanent"])?;
        }
        Ok(networks)
    }

    /// A program on the camera's side.
    pub(crate) fn on_camera(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.command(&self.camera, program)
    }

    /// A program on the aggregator's.
    pub(crate) fn on_aggregator(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.command(&self.aggregator, program)
    }

    fn command(&self, network: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", network]).arg(program);
        command
    }

    /// Captures what goes over the camera's card from now on.
    pub(crate) fn capture(&self, file: &Path) -> anyhow::Result<Capture> {
        let mut command = self.on_camera(env!("CARGO_BIN_EXE_volet"));
        command.arg("capture").arg("--out").arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().context("it has an output")?).read_line(&mut line)?;
        anyhow::ensure!(line == "capturing\n", "nothing is captured: {line:?}");
        Ok(Capture { child, file: file.to_owned() })
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in [&self.camera, &self.aggregator] {
            ip(&["netns", "delete", name]).ok();
            std::fs::remove_dir_all(Path::new("/etc/netns").join(name)).ok();
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let out = Command::new("ip").args(arguments).output().context("ip(8)")?;
    anyhow::ensure!(
        out.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(())
}

/// A capture that goes on.
pub(crate) struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    /// Ends it; its file.
    pub(crate) fn end(mut self) -> anyhow::Result<PathBuf> {
        drop(self.child.stdin.take());
        anyhow::ensure!(self.child.wait()?.success(), "the capture failed");
        Ok(self.file)
    }
}

/// The card by which the camera's packets are known.
pub(crate) const CARD: &str = CAMERA_CARD;
