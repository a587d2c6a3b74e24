//! `volet models`, and the choice of a detector for the other commands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use volet_edge::models::{Digest, Manifest, Model, Quality, builtin};

use crate::cli::{ModelsArgs, ModelsCommand};

/// The detector that was asked for, or the default one.
pub(crate) fn open(wanted: Option<&Path>) -> anyhow::Result<Arc<Model>> {
    let Some(path) = wanted else { return Ok(Arc::new(builtin::default_model()?)) };
    if let Some(model) = path.to_str().and_then(builtin::by_name) {
        return Ok(Arc::new(model?));
    }
    Ok(Arc::new(Model::open(path).with_context(|| format!("cannot use the model {path:?}"))?))
}

pub(crate) fn run(args: &ModelsArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ModelsCommand::List { dir, json } => list(dir.as_deref(), *json),
        ModelsCommand::Verify { manifests } => verify(manifests),
        ModelsCommand::Add { file, like, name, licence } => add(file, like, name.as_deref(), licence.as_deref()),
    }
}

#[derive(Serialize)]
struct Listed {
    name: String,
    blake3: String,
    classes: Vec<&'static str>,
    parameters: u64,
    input: String,
    licence: String,
    provenance: Option<String>,
    quality: Quality,
    origin: String,
}

fn listed(model: &Model, origin: String) -> Listed {
    let m = model.manifest();
    Listed {
        name: m.name.clone(),
        blake3: m.blake3.to_string(),
        classes: m.classes.iter().map(|c| c.name()).collect(),
        parameters: model.parameters(),
        input: format!("{}x{}", m.input.width, m.input.height),
        licence: m.licence.clone(),
        provenance: m.provenance.clone(),
        quality: m.quality,
        origin,
    }
}

fn list(dir: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for model in builtin::all() {
        all.push(listed(&model?, "built in".to_owned()));
    }
    let mut failed = false;
    if let Some(dir) = dir {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)
            .with_context(|| format!("cannot read {dir:?}"))?
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "toml"))
            .collect();
        paths.sort();
        for path in paths {
            match Model::open(&path) {
                Ok(model) => all.push(listed(&model, path.display().to_string())),
                Err(e) => {
                    eprintln!("volet: {path:?}: {e}");
                    failed = true;
                }
            }
        }
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        for m in &all {
            let quality = if m.quality == Quality::Preview { " (preview)" } else { "" };
            println!("{}{quality}: {} at {}, {} parameters, {}", m.name, m.classes.join("+"), m.input, m.parameters, m.licence);
            println!("    {} {}", m.origin, m.blake3);
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn verify(manifests: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut good = true;
    let mut check = |name: String, model: anyhow::Result<Model>| {
        // A hash that fits is not enough: the network must run, on a black picture at least.
        let ran = model.and_then(|m| {
            let detector = m.at(None)?;
            Ok(detector.detect(&detector.new_input()?, m.manifest().thresholds.score)?.len())
        });
        match ran {
            Ok(_) => println!("{name}: good"),
            Err(e) => {
                println!("{name}: {e:#}");
                good = false;
            }
        }
    };
    if manifests.is_empty() {
        for model in builtin::all() {
            let name = model.as_ref().map_or_else(|_| "built in".to_owned(), |m| m.manifest().name.clone());
            check(name, model.map_err(anyhow::Error::from));
        }
    }
    for path in manifests {
        check(path.display().to_string(), Model::open(path).map_err(anyhow::Error::from));
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn add(file: &Path, like: &str, name: Option<&str>, licence: Option<&str>) -> anyhow::Result<ExitCode> {
    let template = match builtin::template(like) {
        Some(text) => text.to_owned(),
        None => std::fs::read_to_string(like).with_context(|| {
            format!("{like:?} is neither a manifest nor a known kind (yunet, centerface, ultra-light, scrfd, volet)")
        })?,
    };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
    let file_name = file.file_name().and_then(|n| n.to_str()).context("the file's name must be plain text")?;
    let stem = file.file_stem().and_then(|n| n.to_str()).unwrap_or(file_name);
    let mut manifest = Manifest::parse(&template)?;
    manifest.name = name.unwrap_or(stem).to_owned();
    manifest.file = file_name.to_owned();
    manifest.blake3 = Digest::of(&bytes);
    manifest.licence = licence.unwrap_or("LicenseRef-unknown").to_owned();
    manifest.provenance = None;
    manifest.trainable = Default::default();
    let text = manifest.to_toml()?;
    // What is written must be readable, and the network must run with it.
    let model = Model::new(Manifest::parse(&text)?, bytes)?;
    let detector = model.at(None).context("the network does not run with this manifest; try another --like")?;
    detector
        .detect(&detector.new_input()?, manifest.thresholds.score)
        .context("the network's outputs are not those of this kind; try another --like")?;
    let path = file.with_extension("toml");
    anyhow::ensure!(!path.exists(), "{path:?} exists already; move it away first");
    volet_edge::batch::write_whole(&path, text.as_bytes())?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
