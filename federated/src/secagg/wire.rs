//! The protocol's messages in their envelopes.

use prost::Message;
use volet_proto::v1;
use volet_proto::v1::{server_message, site_message};

use super::{ToServer, ToSite};

impl From<ToServer> for v1::SiteMessage {
    fn from(message: ToServer) -> Self {
        use site_message::Body;
        let body = match message {
            ToServer::Advertisement(m) => Body::Advertisement(m),
            ToServer::Shares(m) => Body::Shares(m),
            ToServer::Masked(m) => Body::Masked(m),
            ToServer::Signature(m) => Body::Signature(m),
            ToServer::Reveal(m) => Body::Reveal(m),
            ToServer::Split(m) => Body::Split(m),
            ToServer::MaskSum(m) => Body::MaskSum(m),
        };
        Self { body: Some(body) }
    }
}

impl ToServer {
    /// How long it is in its envelope, bytes.
    pub fn encoded_len(&self) -> usize {
        v1::SiteMessage::from(self.clone()).encoded_len()
    }

    /// What an envelope holds; `None` where it is empty, or of a later version's kind.
    pub fn read(message: v1::SiteMessage) -> Option<Self> {
        use site_message::Body;
        Some(match message.body? {
            Body::Advertisement(m) => Self::Advertisement(m),
            Body::Shares(m) => Self::Shares(m),
            Body::Masked(m) => Self::Masked(m),
            Body::Signature(m) => Self::Signature(m),
            Body::Reveal(m) => Self::Reveal(m),
            Body::Split(m) => Self::Split(m),
            Body::MaskSum(m) => Self::MaskSum(m),
        })
    }
}

impl From<ToSite> for v1::ServerMessage {
    fn from(message: ToSite) -> Self {
        use server_message::Body;
        let body = match message {
            ToSite::Roster(m) => Body::Roster(m),
            ToSite::Shares(m) => Body::Shares(m),
            ToSite::Survivors(m) => Body::Survivors(m),
            ToSite::Proof(m) => Body::Proof(m),
            ToSite::Seeds(m) => Body::Seeds(m),
        };
        Self { body: Some(body) }
    }
}

impl ToSite {
    /// What an envelope holds; `None` where it is empty, or of a later version's kind.
    pub fn read(message: v1::ServerMessage) -> Option<Self> {
        use server_message::Body;
        Some(match message.body? {
            Body::Roster(m) => Self::Roster(m),
            Body::Shares(m) => Self::Shares(m),
            Body::Survivors(m) => Self::Survivors(m),
            Body::Proof(m) => Self::Proof(m),
            Body::Seeds(m) => Self::Seeds(m),
        })
    }
}
