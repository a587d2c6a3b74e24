//! Manifests and configuration files from strangers: an error or a checked value, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(manifest) = volet_models::Manifest::parse(text) {
        let again = manifest.to_toml().expect("what was parsed can be written");
        assert_eq!(volet_models::Manifest::parse(&again).expect("what was written can be parsed"), manifest);
    }
    if let Ok(config) = toml::from_str::<volet_edge::batch::BatchConfig>(text) {
        let _ = config.pipeline.check();
    }
});
