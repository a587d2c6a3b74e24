//! The wire messages: `.proto` files under `proto/` and the types generated from them.
//!
//! **What belongs here.** Every message that crosses a machine's border between a site and the aggregator,
//! and nothing else: guarantee G1 says that only these types and redacted frames pass the release gate, so
//! this crate is the list of what can be said. A field that could hold a pixel, a name of a person, a file
//! name, a count of samples or a time of day does not belong here.
//!
//! **What does not.** Rules. A decoded message is bytes of the right shape; whether a digest has 32 bytes,
//! or a round number may be followed, is decided by the types of `volet-federated`, which are built
//! from these by checked conversion and refuse the rest.
//!
//! **Rules for changes.** Fields are only ever added; a number is never used again; the package's name
//! carries the major version (`volet.v1`). Unknown fields are ignored, absent ones are proto3's defaults.
//! The files are compiled by protox and prost-build, so no `protoc` is needed.
//!
//! The calls (`v1::aggregation_client`, `v1::aggregation_server` and those of enrolment) come with the features `client`
//! and `server`.

/// Version 1 of the messages.
#[allow(missing_docs)] // fields that their comment's neighbour explains have none of their own
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/volet.v1.rs"));
}

#[cfg(test)]
mod tests {
    use super::v1::{ModelId, RoundBase, RoundId, TaskId};
    use prost::Message;

    #[test]
    fn bytes_on_the_wire_stay_as_they_are() {
        let base = RoundBase {
            round: Some(RoundId { task: Some(TaskId { id: vec![7; 2] }), number: 300 }),
            model: Some(ModelId { blake3: vec![1, 2], name: "a".into() }),
        };
        // Field by field: tags and lengths as protobuf's encoding guide gives them.
        let round = [0x0a, 4, 0x0a, 2, 7, 7, 0x10, 0xac, 0x02];
        let model = [0x0a, 2, 1, 2, 0x12, 1, b'a'];
        let wire = [&[0x0a, 9][..], &round, &[0x12, 7], &model].concat();
        assert_eq!(base.encode_to_vec(), wire);
        assert_eq!(RoundBase::decode(&wire[..]).unwrap(), base);
    }

    #[test]
    fn unknown_fields_are_ignored_and_damage_is_an_error() {
        let later = [0x10, 5, 0x7a, 1, 0];
        assert_eq!(RoundId::decode(&later[..]).unwrap().number, 5);
        assert!(RoundId::decode(&[0x10][..]).is_err());
        assert!(ModelId::decode(&[0x12, 1, 0xff][..]).is_err());
    }
}
