//! The detectors that are compiled in, and manifests of known kinds of networks to start new ones from.

use crate::detector::Model;
use crate::manifest::{Manifest, ManifestError};

/// Manifest and weights of each built-in detector; the first is the default.
const BUILT_IN: [(&str, &[u8]); 1] =
    [(include_str!("../weights/volet-1.toml"), include_bytes!("../weights/volet-1.onnx"))];

/// Kinds of networks that are known, each with a manifest of one of them.
const KINDS: [(&str, &str); 5] = [
    ("volet", BUILT_IN[0].0),
    ("yunet", include_str!("../manifests/yunet-n-640.toml")),
    ("centerface", include_str!("../manifests/centerface.toml")),
    ("ultra-light", include_str!("../manifests/ultra-light-rfb-320.toml")),
    ("scrfd", include_str!("../manifests/scrfd.toml")),
];

/// The detector that is used where none is named: the project's own.
///
/// # Errors
/// The program file is damaged.
pub fn default_model() -> Result<Model, ManifestError> {
    model(BUILT_IN[0])
}

/// Manifest (TOML) and file of the detector that is used where none is named.
pub fn default_files() -> (&'static str, &'static [u8]) {
    BUILT_IN[0]
}

/// Every built-in detector.
pub fn all() -> impl Iterator<Item = Result<Model, ManifestError>> {
    BUILT_IN.into_iter().map(model)
}

/// The built-in detector of this name.
pub fn by_name(name: &str) -> Option<Result<Model, ManifestError>> {
    all().find(|m| m.as_ref().is_ok_and(|m| m.manifest().name == name))
}

/// A manifest for a kind of network: `volet`, `yunet`, `centerface`, `ultra-light` or `scrfd`.
pub fn template(kind: &str) -> Option<&'static str> {
    KINDS.iter().find(|(k, _)| *k == kind).map(|(_, text)| *text)
}

fn model((manifest, file): (&str, &[u8])) -> Result<Model, ManifestError> {
    Model::new(Manifest::parse(manifest)?, file.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_valid_manifest() {
        for (kind, text) in KINDS {
            Manifest::parse(text).unwrap_or_else(|e| panic!("{kind}: {e}"));
        }
    }

    #[test]
    fn a_recipe_that_cannot_be_followed_is_refused_by_name() {
        let (_, text) = KINDS[0];
        assert_eq!(
            Manifest::parse(text).unwrap().trainable.recipe,
            crate::Recipe { steps: 3, rate: 0.002, positives: Some(8.0) }
        );
        for (with, instead, named) in [
            ("steps = 3", "steps = 0", "steps"),
            ("rate = 0.002", "rate = 1.0", "rate"),
            ("rate = 0.002", "rate = nan", "rate"),
            ("positives = 8.0", "positives = 0.0", "positives"),
            ("positives = 8.0", "positives = inf", "positives"),
            ("positives = 8.0", "epochs = 2", "epochs"),
        ] {
            assert!(text.contains(with));
            let error = Manifest::parse(&text.replace(with, instead)).unwrap_err().to_string();
            assert!(error.contains(named), "{instead}: {error}");
        }
        let (before, _) = text.split_once("[trainable.recipe]").unwrap();
        assert_eq!(Manifest::parse(before).unwrap().trainable.recipe, crate::Recipe::default());
    }

    #[test]
    fn the_default_detector_is_ours_and_runs() {
        let model = default_model().unwrap();
        assert!(model.manifest().classes.contains(&crate::ObjectClass::Face));
        let detector = model.at(Some((320, 192))).unwrap();
        assert_eq!(detector.detect(&detector.new_input().unwrap(), 0.5).unwrap(), vec![]);
    }
}
