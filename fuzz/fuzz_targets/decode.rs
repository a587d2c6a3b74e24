//! Whatever numbers a network gives, decoding ends in valid boxes or an error.
#![no_main]

use volet_models::decode::{Context, Decoder, Output};
use volet_models::{ObjectClass, non_maximum_suppression};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    let values: Vec<f32> =
        rest.as_chunks::<4>().0.iter().cycle().take(4096).map(|b| f32::from_le_bytes(*b)).collect();
    if values.is_empty() {
        return;
    }
    // At 64x64 and stride 32 there are four cells.
    let (decoder, lengths): (Decoder, &[(&str, usize)]) = match kind % 5 {
        0 => (Decoder::AnchorFree { strides: vec![32] }, &[("p", 20)]),
        1 => (Decoder::Yunet { strides: vec![32] }, &[("cls_32", 4), ("obj_32", 4), ("bbox_32", 16)]),
        2 => (Decoder::Centernet { stride: 32 }, &[("h", 4), ("s", 8), ("o", 8)]),
        3 => (Decoder::Scrfd { strides: vec![32], anchors: 2 }, &[("s", 8), ("b", 32)]),
        _ => (
            Decoder::SsdAnchors(volet_models::decode::SsdAnchors {
                scores: "scores".into(),
                boxes: "boxes".into(),
                encoding: volet_models::decode::BoxEncoding::Deltas,
                strides: vec![32],
                sides: vec![vec![16.0, 24.0]],
                variances: [0.1, 0.2],
            }),
            &[("scores", 16), ("boxes", 32)],
        ),
    };
    let outputs: Vec<Output<'_>> =
        lengths.iter().map(|&(name, n)| Output { name, shape: &[], values: &values[..n] }).collect();
    let classes = [ObjectClass::Face];
    let context = Context { width: 64, height: 64, classes: &classes, min_score: 0.1 };
    if let Ok(found) = decoder.decode(&outputs, context) {
        assert!(found.iter().all(|d| d.bbox.is_valid() && (0.0..=1.0).contains(&d.score)));
        let kept = non_maximum_suppression(found.clone(), 0.5);
        assert!(kept.len() <= found.len() && kept.is_empty() == found.is_empty());
    }
});
