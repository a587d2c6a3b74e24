//! What a program needs once it is at work. Knows no system calls.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What a program needs once it is at work. All else is refused; at first that is everything but its own memory,
/// clocks, threads and what it has open.
///
/// No program that is confined starts another one, and none opens a socket to listen on: neither can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    pub(super) read: BTreeSet<PathBuf>,
    pub(super) list: BTreeSet<PathBuf>,
    pub(super) write: BTreeSet<PathBuf>,
    pub(super) devices: BTreeSet<PathBuf>,
    pub(super) ports: BTreeSet<u16>,
    pub(super) names: bool,
    pub(super) accepts: bool,
}

/// Where names of hosts, and the time zone, are looked up. What is not there is left out.
const NAMES: [&str; 9] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    // Files that are replaced are found by their folder alone.
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/run/connman",
];
/// What libraries look at anywhere: processors and their caches, how memory is lent, the time zone.
const ANYWHERE: [&str; 5] = [
    "/sys/devices/system/cpu",
    "/proc/sys/vm/overcommit_memory",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
];
/// Names are looked up over TCP where an answer is long.
pub(super) const DNS: u16 = 53;

impl Confinement {
    /// Nothing but what libraries read anywhere.
    pub fn new() -> Self {
        let mut new = Self::default();
        new.read.extend(ANYWHERE.map(PathBuf::from));
        new
    }

    /// It reads this file, or all that is in this folder. A file that is replaced later is out of reach: name its folder.
    #[must_use]
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.insert(path.into());
        self
    }

    /// It reads, makes, writes and removes files and folders in this folder, or writes this file. It has to exist by
    /// the time of [`super::Begun::confine`].
    #[must_use]
    pub fn writes(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.insert(path.into());
        self
    }

    /// It opens this folder and lists what is in it, and reads none of it: the parent of a folder that it syncs.
    #[must_use]
    pub fn lists(mut self, folder: impl Into<PathBuf>) -> Self {
        self.list.insert(folder.into());
        self
    }

    /// It keeps a folder of its own, and makes sure that the folder's name is on the disk.
    #[must_use]
    pub fn keeps(self, folder: &Path) -> Self {
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.lists(parent.unwrap_or(Path::new("."))).writes(folder)
    }

    /// It uses this device, a camera's for example.
    #[must_use]
    pub fn uses(mut self, device: impl Into<PathBuf>) -> Self {
        self.devices.insert(device.into());
        self
    }

    /// It makes TCP connections to this host, an address or a name, at this port. The kernel can bound ports and not
    /// hosts. Where a name has to be looked up, UDP is open too: with an address it is not.
    #[must_use]
    pub fn calls(mut self, host: &str, port: u16) -> Self {
        self.ports.insert(port);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        self.read.extend(NAMES.map(PathBuf::from));
        if bare.parse::<IpAddr>().is_err() && bare != "localhost" {
            self.names = true;
            self.ports.insert(DNS);
        }
        self
    }

    /// It takes connections at a socket that listens already.
    #[must_use]
    pub fn accepts(mut self) -> Self {
        self.accepts = true;
        self
    }

    /// Whether it sends or takes anything over a network.
    pub(super) fn networks(&self) -> bool {
        self.accepts || !self.ports.is_empty()
    }

    /// What none of this can bound, and what to add.
    pub(super) fn beyond(&self) -> Vec<String> {
        let mut beyond = Vec::new();
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
            beyond.push(format!(
                "which hosts are called at port {}: IPAddressAllow= of systemd or nftables can bound that (docs/sandbox.md)",
                ports.join(", ")
            ));
        }
        if self.names {
            let what =
                "what a look-up of a name carries (a DNS tunnel): give the host by its address, or in /etc/hosts";
            beyond.push(what.to_owned());
        }
        if !self.write.is_empty() {
            beyond
                .push("who else reads the files that it writes: their folders' modes are what bounds that".to_owned());
        }
        beyond
    }

    /// For people: paths, a few at most.
    pub(super) fn say(paths: &BTreeSet<PathBuf>) -> String {
        let named: Vec<String> = paths.iter().map(|path: &PathBuf| Path::display(path).to_string()).collect();
        if named.is_empty() { "nothing".to_owned() } else { named.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_is_open_only_where_a_name_has_to_be_looked_up() {
        for (host, names) in [
            ("192.0.2.7", false),
            ("2001:db8::7", false),
            ("[2001:db8::7]", false),
            ("localhost", false),
            ("aggregator.example", true),
            ("192.0.2.7.example", true),
        ] {
            let needs = Confinement::new().calls(host, 7443);
            assert_eq!((needs.names, needs.ports.contains(&DNS)), (names, names), "{host}");
            assert!(needs.ports.contains(&7443) && needs.networks());
            assert_eq!(needs.beyond().len(), if names { 2 } else { 1 }, "{host}");
        }
        assert!(!Confinement::new().networks() && Confinement::new().beyond().is_empty());
    }
}
