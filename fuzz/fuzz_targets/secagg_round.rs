//! A round of secure aggregation whose messages are altered, dropped, doubled and replaced on the way, in both directions:
//! never a panic, and a sum, if there is one, is over enough sites.
#![no_main]

use std::collections::BTreeMap;

use prost::Message;
use volet_federated::secagg::{
    Advertised, Authority, Delivery, Demands, Identity, Modulus, Risk, SecureSum, Server, Site, Terms, ToServer, ToSite,
    enrol,
};
use volet_federated::signing::SigningKey;
use volet_federated::{CohortSize, RoundId, TaskId};

const SITES: u8 = 6;
const DIMENSION: usize = 3;

/// What happens to the messages, read off the fuzzer's bytes.
struct Fate<'a>(&'a [u8]);

impl Fate<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_first().map_or(0, |(first, rest)| {
            self.0 = rest;
            *first
        })
    }

    /// The message as it arrives, if it does.
    fn of<M: Message + Default>(&mut self, message: &M) -> Option<M> {
        let mut bytes = message.encode_to_vec();
        match self.byte() {
            1 => return None,
            2 => {
                let at = usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % bytes.len().max(1);
                let with = self.byte();
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= with);
            }
            3 => bytes.truncate(usize::from(self.byte())),
            4 => {
                let (other, rest) = self.0.split_at(usize::from(self.byte()).min(self.0.len()));
                (bytes, self.0) = (other.to_vec(), rest);
            }
            _ => {}
        }
        M::decode(bytes.as_slice()).ok()
    }

    fn to_server(&mut self, message: ToServer) -> Option<ToServer> {
        Some(match message {
            ToServer::Advertisement(m) => ToServer::Advertisement(self.of(&m)?),
            ToServer::Shares(m) => ToServer::Shares(self.of(&m)?),
            ToServer::Masked(m) => ToServer::Masked(self.of(&m)?),
            ToServer::Signature(m) => ToServer::Signature(self.of(&m)?),
            ToServer::Reveal(m) => ToServer::Reveal(self.of(&m)?),
            ToServer::Split(m) => ToServer::Split(self.of(&m)?),
            ToServer::MaskSum(m) => ToServer::MaskSum(self.of(&m)?),
        })
    }

    fn to_site(&mut self, message: ToSite) -> Option<ToSite> {
        Some(match message {
            ToSite::Roster(m) => ToSite::Roster(self.of(&m)?),
            ToSite::Shares(m) => ToSite::Shares(self.of(&m)?),
            ToSite::Survivors(m) => ToSite::Survivors(self.of(&m)?),
            ToSite::Proof(m) => ToSite::Proof(self.of(&m)?),
            ToSite::Seeds(m) => ToSite::Seeds(self.of(&m)?),
        })
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut fate = Fate(data);
    let authority = SigningKey::from([42; 32]);
    let trusted = Authority((&authority).into());
    let round = RoundId::new(TaskId::from_bytes([3; 16]), 1).expect("above 0");
    let minimum = CohortSize::new(3).expect("in range");
    let risk = Risk::new(0, 300, 40, 10).expect("in range");
    let terms = Terms::new(round, DIMENSION as u32, Modulus::FULL, minimum, risk).expect("in range");
    let demands = Demands { minimum, corrupt_per_mille: 0, security_bits: 40 };
    let mut server = Server::new(terms, trusted, usize::from(SITES));
    let mut sites = BTreeMap::new();
    for site in 0..SITES {
        let key = SigningKey::from([site + 1; 32]);
        let identity = Identity::new(key, enrol(&authority, &(&key).into()));
        let public = identity.public();
        let (state, message) = Advertised::start(terms, &demands, trusted, identity).expect("random bytes");
        for message in fate.to_server(ToServer::Advertisement(message)) {
            let _ = server.receive(&public, message);
        }
        sites.insert(public, Site::Advertised(Box::new(state)));
    }
    while let Ok(delivery) = server.advance() {
        let each = match delivery {
            Delivery::Each(each) => each,
            Delivery::Same { to, message } => to.into_iter().map(|key| (key, message.clone())).collect(),
            Delivery::Sum(sum) => {
                assert!(sum.contributors() >= 3 && sum.values().len() == DIMENSION);
                return;
            }
        };
        for (key, message) in each {
            let Some((site, message)) = sites.remove(&key).zip(fate.to_site(message)) else { continue };
            let answer = site.answer(&message, |shared, delivery| shared.mask_unprotected(delivery, &[1; DIMENSION]));
            let Ok((next, answer)) = answer else { continue };
            sites.extend(next.map(|state| (key, state)));
            let doubled = fate.byte() == 1;
            if let Some(message) = fate.to_server(answer) {
                if doubled {
                    let _ = server.receive(&key, message.clone());
                }
                let _ = server.receive(&key, message);
            }
        }
    }
});
