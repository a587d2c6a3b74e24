//! Cameras whose firmware is never updated: clients of the first release's messages, and the server as it is now.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod house;

use std::time::Duration;

use base64::Engine;
use house::{House, said};
use prost::Message;
use tokio::task::JoinSet;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity};
use volet_federated::CohortSize;
use volet_federated::aggregator::Camera;
use volet_federated::secagg::{
    Advertised, Demands, Identity, Refusal, Site, Terms, ToServer, ToSite, ask_to_be_enrolled,
};
use volet_federated::signing::{SigningKey, VerifyingKey};
use volet_proto::v1 as now;
use volet_proto_released::v1 as then;
use volet_proto_released::v1::aggregation_client::AggregationClient;
use volet_proto_released::v1::enrolment_client::EnrolmentClient;

const PARAMETERS: usize = 40_000;

/// The same bytes, read by the other version.
fn other<T: Message + Default>(message: &impl Message) -> T {
    T::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn channel(camera: &Camera, own: Option<(&[u8], &SigningKey)>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&camera.authority));
    if let Some((certificate, key)) = own {
        let pem = |what: &str, der: &[u8]| {
            let text = base64::engine::general_purpose::STANDARD.encode(der);
            format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
        };
        // RFC 8410.
        let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = [&head, key.as_ref()].concat();
        tls = tls.identity(TlsIdentity::from_pem(pem("CERTIFICATE", certificate), pem("PRIVATE KEY", &key)));
    }
    Endpoint::from_shared(camera.aggregator.clone()).unwrap().tls_config(tls).unwrap().connect_lazy()
}

/// An old camera's whole life: enrols, checks in, and goes through one round.
async fn live(camera: Camera, site: u8, token: String) {
    let key = SigningKey::from([site + 1; 32]);
    let request = then::EnrolRequest {
        signature: ask_to_be_enrolled(&key, &token).to_vec(),
        token,
        key: VerifyingKey::from(&key).to_bytes().to_vec(),
    };
    let reply = EnrolmentClient::new(channel(&camera, None)).enrol(request).await.unwrap().into_inner();
    let mut calls = AggregationClient::new(channel(&camera, Some((&reply.certificate, &key))));
    let told = loop {
        match calls.check_in(then::CheckInRequest { release: 0 }).await.map(tonic::Response::into_inner) {
            Ok(told) if told.round.is_some() => break told,
            Err(status) if status.code() != tonic::Code::Unavailable => panic!("{status}"),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(told.task.is_some());
    let terms = Terms::try_from(other::<now::Terms>(&told.round.unwrap())).unwrap();
    let demands = Demands { minimum: CohortSize::new(6).unwrap(), corrupt_per_mille: 100, security_bits: 80 };
    let identity = Identity::new(key, reply.enrolment.try_into().unwrap());
    let (state, message) = Advertised::start(terms, &demands, camera.enrolment().unwrap(), identity).unwrap();
    let round: then::RoundId = other(&now::RoundId::from(terms.round()));
    let (mut site, mut answer, mut steps) =
        (Some(Site::Advertised(Box::new(state))), ToServer::Advertisement(message), 0);
    loop {
        let bytes = other::<then::SiteMessage>(&now::SiteMessage::from(answer)).encode_to_vec();
        let mut pieces: Vec<then::SayPiece> =
            bytes.chunks(64 << 10).map(|data| then::SayPiece { round: None, data: data.to_vec() }).collect();
        pieces[0].round = Some(round.clone());
        // Told to come back, it does.
        while let Err(status) = calls.say(tokio_stream::iter(pieces.clone())).await {
            assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let Some(state) = site.take() else { return };
        let message = loop {
            let request = then::HearRequest { round: Some(round.clone()), steps };
            let mut pieces = calls.hear(request).await.unwrap().into_inner();
            let (mut bytes, mut ended) = (Vec::new(), steps);
            while let Some(piece) = pieces.message().await.unwrap() {
                ended = ended.max(piece.steps);
                bytes.extend(piece.data);
            }
            if ended > steps {
                steps = ended;
                break then::ServerMessage::decode(bytes.as_slice()).unwrap();
            }
        };
        let message = ToSite::read(other(&message)).unwrap();
        let mask = |shared: volet_federated::secagg::Shared, delivery: &_| {
            shared.mask_unprotected(delivery, &vec![3; PARAMETERS])
        };
        let (next, said) = state.answer::<Refusal>(&message, mask).unwrap();
        (site, answer) = (next, said);
    }
}

#[test]
fn cameras_of_the_first_release_take_part() {
    let house = House::new(PARAMETERS, &[("most = 8", "most = 6"), ("rounds = 12", "rounds = 1")]);
    let _serving = house.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut cameras = JoinSet::new();
        for (site, token) in (0..6).zip(house.tokens(6)) {
            cameras.spawn(live(house.camera.clone(), site, token));
        }
        cameras.join_all().await;
    });
    // The last camera's word was taken; the round ends in the same moment or the next.
    let rounds = loop {
        let rounds: serde_json::Value = serde_json::from_str(&said(house.program(&["rounds", "--json"]))).unwrap();
        if rounds.as_array().is_some_and(|rounds| !rounds.is_empty()) {
            break rounds;
        }
    };
    assert_eq!((&rounds[0]["contributors"], &rounds[0]["failure"]), (&6.into(), &serde_json::Value::Null));
}
