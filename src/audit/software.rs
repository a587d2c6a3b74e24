//! What this program, the auditor's `volet`, was made of, so that somebody else can make it again: a bill of materials (CycloneDX 1.6)
//! from the lock file that it was built with, and how it was built. The camera's program is another one, made of a part of the same.

use serde::Serialize;
use serde_json::json;

/// The lock file that pins every crate's version and hash.
const LOCK: &str = include_str!("../../Cargo.lock");

/// How this program was built.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Build {
    version: &'static str,
    /// BLAKE3 of the lock file, hexadecimal.
    lock: String,
    /// SHA-256 of this program's file, hexadecimal.
    program: Option<String>,
    target: String,
    optimised: bool,
}

pub(crate) fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION"),
        lock: blake3::hash(LOCK.as_bytes()).to_string(),
        program: std::env::current_exe().ok().and_then(|file| super::expected::sha256(&file).ok()),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        optimised: !cfg!(debug_assertions),
    }
}

/// The bill of materials: every crate that the lock file pins, those that only tests use among them.
///
/// # Errors
/// The lock file is damaged.
pub(crate) fn bill() -> anyhow::Result<String> {
    let lock: cargo_lock::Lockfile = LOCK.parse()?;
    let component = |package: &cargo_lock::Package| {
        let (name, version) = (package.name.as_str(), package.version.to_string());
        let purl = format!("pkg:cargo/{name}@{version}");
        let mut component = json!({
            "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
        });
        if let (Some(cargo_lock::Checksum::Sha256(hash)), Some(object)) = (&package.checksum, component.as_object_mut())
        {
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": hash }]));
        }
        component
    };
    let reference =
        |dependency: &cargo_lock::Dependency| format!("pkg:cargo/{}@{}", dependency.name, dependency.version);
    let needs = |package: &cargo_lock::Package| {
        let on: Vec<String> = package.dependencies.iter().map(reference).collect();
        json!({ "ref": format!("pkg:cargo/{}@{}", package.name, package.version), "dependsOn": on })
    };
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": { "type": "application", "bom-ref": "volet", "name": "volet", "version": env!("CARGO_PKG_VERSION") } },
        "components": lock.packages.iter().map(component).collect::<Vec<_>>(),
        "dependencies": lock.packages.iter().map(needs).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&bill)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_names_what_the_program_is_made_of() {
        let bill: serde_json::Value = serde_json::from_str(&bill().unwrap()).unwrap();
        let components = bill["components"].as_array().unwrap();
        let of = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
        assert_eq!(of("blake3")["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert!(of("volet-edge")["hashes"].is_null());
        let known: Vec<&str> = components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
        for needed in bill["dependencies"].as_array().unwrap().iter().flat_map(|d| d["dependsOn"].as_array().unwrap()) {
            assert!(known.contains(&needed.as_str().unwrap()), "{needed}");
        }
    }
}
