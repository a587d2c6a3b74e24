//! The detector's fleet: cameras at night.

use super::*;

/// Three cameras at night that teach the detector what they see, by labels of their own, and one of them that means harm.
#[test]
fn cameras_teach_the_detector_the_same_from_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, task: &str, more: &[&str]| {
        let (config, out) = (folder.path().join(format!("{name}.toml")), folder.path().join(name));
        let small = "scenes = 3\nstills = 1\nheld-out = 3\nepochs = 2\n";
        std::fs::write(&config, format!("fleet = \"detector\"\n[detector]\n{small}{task}")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_volet"))
            .args([
                "simulate",
                "--sites",
                "3",
                "--rounds",
                "2",
                "--epsilon",
                "none",
                "--seed",
                "5",
                "--json",
                "--config",
            ])
            .arg(&config)
            .arg("--out")
            .arg(&out)
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (table(&out.join("rounds.csv")), files(&out))
    };
    let (lines, first) = run("first", "", &[]);
    assert_eq!(first["rounds.csv"], run("again", "", &[]).1["rounds.csv"]);
    // What nobody chose is written down too, and what was chosen is what holds.
    let settings = |files: &BTreeMap<&'static str, Vec<u8>>| -> toml::Table {
        toml::from_str(std::str::from_utf8(&files["settings.toml"]).unwrap()).unwrap()
    };
    let number_of = |table: &toml::Table, key: &str| table[key].as_float().unwrap();
    let usual = settings(&first);
    assert_eq!((number_of(&usual, "clip"), number_of(&usual, "momentum")), (0.035, 0.8));
    let chosen = settings(&run("chosen", "", &["--optimizer", "adam", "--clip", "0.1"]).1);
    assert_eq!((number_of(&chosen, "clip"), number_of(&chosen, "momentum")), (0.1, 0.9));
    for line in &lines {
        assert_eq!((number(line, "participants"), number(line, "silent")), (3.0, 0.0), "{line:?}");
        assert!(number(line, "update_norm") > 0.0 && number(line, "blind_spot") <= 1.0, "{line:?}");
        assert!((0.0..=1.0).contains(&number(line, "quality")), "{line:?}");
    }
    assert_ne!(first["rounds.csv"], run("told", "truth = true\n", &[]).1["rounds.csv"]);
    let (harmed, _) = run("harmed", "", &["--malicious", "0.4", "--boost", "100", "--unbounded"]);
    assert!(
        number(&harmed[0], "update_norm") > 5.0 * number(&lines[0], "update_norm"),
        "{:?} {:?}",
        harmed[0],
        lines[0]
    );
}
