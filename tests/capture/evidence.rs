//! What an audit says of a camera whose state somebody has meddled with, of a page that was altered, and how it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context;
use serde_json::Value;
use volet_edge::models::builtin;

use crate::house::House;

/// An audit may be believed as far as it was made: pages, exit codes, and what an earlier one saw.
pub(crate) fn evidence(house: &House<'_>) -> anyhow::Result<()> {
    let page = house.path("page.html");
    let audit =
        volet(&["audit", "--quick", "--json", "--state"], &[&house.path("camera"), Path::new("--html"), &page])?;
    let told: Value = serde_json::from_slice(&audit.stdout)?;
    anyhow::ensure!(audit.status.code() == Some(3) && told["verdict"] == "not-all-examined", "{told}");
    let allowed = volet(&["audit", "--quick", "--allow-unexamined", "--state"], &[&house.path("camera")])?;
    anyhow::ensure!(allowed.status.success(), "{}", said(&allowed));
    checked(house, &page, told["camera"].as_str().context("the camera has a key")?)?;

    let head = told["heads"][0].as_str().context("the ledger has an end")?.to_owned();
    let rewritten = head.replace(|c: char| c.is_ascii_alphabetic(), "0");
    verdict(&house.look("camera", &["--quick", "--head", &head])?, "an earlier audit saw", "held")?;
    verdict(&house.look("camera", &["--quick", "--head", &rewritten])?, "an earlier audit saw", "failed")?;

    for (claim, meddle) in [
        ("its team signed", another_model as fn(&Path) -> anyhow::Result<()>),
        ("its team signed", another_first_model),
        ("told about its place", longer_budget),
        ("told about its place", shorter_budget),
        ("left over a network", altered_end),
        ("says that it locked itself in", empty_sandbox),
    ] {
        let folder = house.path("meddled");
        std::fs::remove_dir_all(&folder).ok();
        copy(&house.path("camera"), &folder)?;
        meddle(&folder)?;
        let told = house.look("meddled", &["--quick"])?;
        verdict(&told, claim, "failed")?;
        anyhow::ensure!(told["held"] == false && told["verdict"] == "failed", "{told}");
    }
    println!("six kinds of meddling with a camera's state: each seen by the audit");
    Ok(())
}

/// A page is checked by its signature, and only what is signed is believed.
fn checked(house: &House<'_>, page: &Path, camera: &str) -> anyhow::Result<()> {
    let check = |page: &Path, key: &str| volet(&["audit", "--key", key, "--check"], &[page]);
    let good = check(page, camera)?;
    anyhow::ensure!(good.status.success() && said(&good).contains("its team signed"), "{}", said(&good));
    let other = check(page, &"11".repeat(32))?;
    anyhow::ensure!(!other.status.success(), "another camera's key: {}", said(&other));
    let text = std::fs::read_to_string(page)?;
    let altered = house.path("altered.html");
    // The report alone, where the rest of the page goes on saying what it did.
    std::fs::write(&altered, text.replace("&quot;not-examined&quot;", "&quot;held&quot;"))?;
    let altered = check(&altered, camera)?;
    anyhow::ensure!(!altered.status.success() && said(&altered).contains("altered"), "{}", said(&altered));
    Ok(())
}

fn volet(arguments: &[&str], paths: &[&Path]) -> anyhow::Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_volet")).args(arguments).args(paths).output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn verdict(told: &Value, claim: &str, wanted: &str) -> anyhow::Result<()> {
    let claims = told["claims"].as_array().context("there are claims")?;
    let of = |found: &&Value| found["claim"].as_str().is_some_and(|text| text.contains(claim));
    let found = claims.iter().find(of).with_context(|| format!("no claim says {claim:?}"))?;
    anyhow::ensure!(found["verdict"] == wanted, "{wanted} expected of {found}");
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            std::fs::create_dir(&target)?;
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o700))?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The one file of this name, wherever it lies.
fn find(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut files = walkdir::WalkDir::new(folder).into_iter().flatten().map(walkdir::DirEntry::into_path);
    files
        .find(|path| path.is_file() && path.file_name().is_some_and(|file| file == name))
        .with_context(|| name.to_owned())
}

/// Another model, with all hashes as they should be, and nobody's signature.
fn another_model(folder: &Path) -> anyhow::Result<()> {
    let values = vec![0.001f32; builtin::default_model()?.trainable_len()?];
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let hash = blake3::hash(&bytes);
    let active = find(folder, "active")?;
    std::fs::write(active.with_file_name(format!("model-{hash}")), bytes)?;
    Ok(std::fs::write(active, format!("release = 0\nmodel = \"{hash}\"\n"))?)
}

/// The same of the file that everything started from.
fn another_first_model(folder: &Path) -> anyhow::Result<()> {
    let manifest = find(folder, "manifest.toml")?;
    let (text, model) = builtin::default_files();
    let (old, mut model) = (blake3::hash(model).to_string(), model.to_vec());
    // A field that a reader of ONNX skips: number 100, of length 1.
    model.extend([0xa2, 0x06, 0x01, 0x00]);
    let new = blake3::hash(&model).to_string();
    std::fs::write(&manifest, text.replace(&old, &new))?;
    std::fs::write(manifest.with_file_name(format!("model-{new}")), model)?;
    Ok(std::fs::write(find(folder, "active")?, format!("release = 0\nmodel = \"{new}\"\n"))?)
}

/// Bytes at the end of the budget's ledger, as an altered last record leaves them.
fn longer_budget(folder: &Path) -> anyhow::Result<()> {
    let ledger = folder.join("budget/ledger");
    let mut bytes = std::fs::read(&ledger)?;
    bytes.extend([7; 30]);
    Ok(std::fs::write(ledger, bytes)?)
}

/// The budget's ledger put back to an earlier state.
fn shorter_budget(folder: &Path) -> anyhow::Result<()> {
    let ledger = folder.join("budget/ledger");
    let bytes = std::fs::read(&ledger)?;
    Ok(std::fs::write(ledger, bytes.get(..bytes.len() - 40).context("it has records")?)?)
}

/// The last record of what left.
fn altered_end(folder: &Path) -> anyhow::Result<()> {
    let segments = walkdir::WalkDir::new(folder.join("egress")).sort_by_file_name().into_iter().flatten();
    let segments = segments.filter(|entry| entry.file_name().to_string_lossy().starts_with("segment-"));
    let last = segments.last().context("there is a ledger")?.into_path();
    let mut bytes = std::fs::read(&last)?;
    *bytes.last_mut().context("it is not empty")? ^= 1;
    Ok(std::fs::write(last, bytes)?)
}

/// A sandbox that claims nothing, and so breaks no claim.
fn empty_sandbox(folder: &Path) -> anyhow::Result<()> {
    let file = find(folder, "sandbox.json")?;
    let mut report: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    report["claims"] = Value::Array(Vec::new());
    Ok(std::fs::write(file, report.to_string())?)
}
