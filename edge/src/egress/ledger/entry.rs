//! What is written down: one entry for each thing that is about to leave, or that was decided. Knows no files.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// The most bytes of a destination's or a policy's name.
pub const MAX_NAME: usize = 255;

/// One thing that is about to leave, or that was decided.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it goes, or a file's name: at most 255 bytes.
    pub destination: String,
    /// How many bytes.
    pub bytes: u64,
    /// Their hash, or zeros for a note. Which hash is the caller's to say.
    #[serde(with = "hex")]
    pub digest: [u8; 32],
    /// What allowed or forbade it: at most 255 bytes.
    pub policy: String,
    /// The connection it belongs to, as its caller numbers them; 0 for none.
    pub connection: u64,
}

/// An entry as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// From 1, without a gap.
    pub number: u64,
    /// Milliseconds since 1970 by the device's clock, which may be wrong and may go back.
    pub at: u64,
    /// What was written down.
    pub entry: Entry,
}

/// What an entry is about. The numbers are the format's and never change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Kind {
    /// Bytes as they go through a socket, such as TLS records: these explain a capture.
    Wire = 1,
    /// A name that is looked up.
    Lookup = 2,
    /// A request to be enrolled, in the clear as before TLS. So are all messages.
    Enrolment = 16,
    /// A request for a new certificate.
    Renewal = 17,
    /// Asking what there is to do.
    CheckIn = 18,
    /// Saying what is held.
    Held = 19,
    /// Asking to hear how a round went on.
    Hear = 20,
    /// Asking for a model.
    Fetch = 21,
    /// A step of a round that carries no update.
    RoundMessage = 22,
    /// A masked update.
    Update = 23,
    /// A redacted picture or film, published to where somebody else may take it.
    Media = 32,
    /// Annotations, published likewise.
    Annotations = 33,
    /// A report, published likewise.
    Report = 34,
    /// A TCP connection is about to be opened.
    Connection = 48,
    /// A connection was closed.
    Closed = 49,
    /// Something was not let out.
    Refused = 50,
    /// The owner's consent changed.
    Consent = 51,
    /// The process has started.
    Started = 52,
}

/// What kinds have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Bytes on the wire.
    Wire,
    /// What those bytes were, in the clear.
    Message,
    /// Files that somebody else may take.
    File,
    /// Nothing left.
    Note,
}

impl Kind {
    /// All of them.
    #[rustfmt::skip]
    pub const ALL: [Self; 18] = [
        Self::Wire, Self::Lookup, Self::Enrolment, Self::Renewal, Self::CheckIn, Self::Held, Self::Hear, Self::Fetch,
        Self::RoundMessage, Self::Update, Self::Media, Self::Annotations, Self::Report, Self::Connection, Self::Closed,
        Self::Refused, Self::Consent, Self::Started,
    ];

    /// The group it belongs to. Bytes add up within a group alone: a message's are its wire's bytes again.
    pub fn group(self) -> Group {
        match self {
            Self::Wire | Self::Lookup => Group::Wire,
            Self::Enrolment | Self::Renewal | Self::CheckIn | Self::Held | Self::Hear | Self::Fetch => Group::Message,
            Self::RoundMessage | Self::Update => Group::Message,
            Self::Media | Self::Annotations | Self::Report => Group::File,
            Self::Connection | Self::Closed | Self::Refused | Self::Consent | Self::Started => Group::Note,
        }
    }

    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Lookup => "lookup",
            Self::Enrolment => "enrolment",
            Self::Renewal => "renewal",
            Self::CheckIn => "check-in",
            Self::Held => "held",
            Self::Hear => "hear",
            Self::Fetch => "fetch",
            Self::RoundMessage => "round-message",
            Self::Update => "update",
            Self::Media => "media",
            Self::Annotations => "annotations",
            Self::Report => "report",
            Self::Connection => "connection",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Consent => "consent",
            Self::Started => "started",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How many entries, and of how many bytes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Entries.
    pub entries: u64,
    /// Bytes; they stop at 2^64 - 1.
    pub bytes: u64,
}

impl Sum {
    /// Adds an entry of so many bytes.
    pub fn add(&mut self, bytes: u64) {
        self.entries = self.entries.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Sums by kind, of the kinds that occurred.
pub type Sums = BTreeMap<Kind, Sum>;

/// Names come from strangers; this is how they are shown, so that none can forge a line, a colour or a column: as they are
/// where they are plain ASCII, and else in quotes with everything unusual escaped.
pub fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { format!("{name:?}") }
}

/// The same JSON in ASCII alone, so that it can be looked at in a terminal.
pub fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            out.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}
