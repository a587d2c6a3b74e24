//! A fleet of a folder's pictures: what it learns from, and what it must not know.

use super::*;

/// A folder of twelve made pictures, and settings that learn fast from it.
struct Album {
    bench: Bench,
    folder: PathBuf,
}

const ALBUM: &str = "rounds = 3\nseed = 5\nepsilon = \"none\"\n[pictures]\nrate = 0.02\n";

impl Album {
    fn new() -> Self {
        let bench = Bench::new();
        std::fs::write(bench.out("small.toml"), ALBUM).unwrap();
        let folder = bench.out("faces");
        let made = Command::new(env!("CARGO_BIN_EXE_volet"))
            .args(["synth", "--scenes", "12", "--size", "160x120", "--seed", "3", "--out"])
            .arg(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { bench, folder }
    }

    fn done(&self, name: &str, more: &[&str]) -> (PathBuf, Output) {
        self.bench.done(name, &[&["--faces", self.folder.to_str().unwrap()][..], more].concat())
    }

    fn refused(&self, more: &[&str], with: &str) {
        let out = self.bench.out("refused");
        self.bench.refused(&out, &[&["--faces", self.folder.to_str().unwrap()][..], more].concat(), with);
        assert!(!out.exists(), "{with}");
    }

    fn coco(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder.join("annotations.json")).unwrap()).unwrap()
    }

    fn write(&self, coco: &Value) {
        std::fs::write(self.folder.join("annotations.json"), coco.to_string()).unwrap();
    }

    /// The ids of the pictures that are learned from with this seed, by the rule that `src/simulate/gallery.rs` has.
    fn learning(&self, seed: u64) -> Vec<Value> {
        use rand::{SeedableRng, seq::SliceRandom};
        let mut images = self.coco()["images"].as_array().unwrap().clone();
        images.sort_by_key(|image| image["file_name"].as_str().unwrap().to_owned());
        images.shuffle(&mut rand_pcg::Pcg64Mcg::seed_from_u64(volet_synthetic::seed_of(seed, 21)));
        images.truncate(images.len() / 2);
        images.into_iter().map(|image| image["id"].clone()).collect()
    }

    /// Moves, enlarges or drops the boxes of these pictures.
    fn scramble(&self, pictures: &[Value]) {
        let mut coco = self.coco();
        let boxes = coco["annotations"].as_array_mut().unwrap();
        boxes.retain(|label| !pictures.contains(&label["image_id"]) || label["id"].as_u64().unwrap() % 3 > 0);
        for label in boxes.iter_mut().filter(|label| pictures.contains(&label["image_id"])) {
            label["bbox"] = serde_json::json!([3, 5, 60, 70]);
            label["ignore"] = 0.into();
        }
        self.write(&coco);
    }
}

#[test]
fn pictures_teach_by_labels_that_nobody_drew() {
    let album = Album::new();
    let (first, output) = album.done("first", &["--json"]);
    let rounds = |out: &Path| std::fs::read(out.join("rounds.csv")).unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Six pictures to learn from, four to a site: two sites all the same.
    assert_eq!(said["sites"].as_u64(), Some(2));
    let lines = table(&first.join("rounds.csv"));
    assert!(lines.len() == 3 && lines.iter().all(|line| line["participants"] == "2" && line["silent"] == "0"));
    assert!(lines.iter().all(|line| number(line, "update_norm") > 0.0), "{lines:?}");
    let sites = table(&first.join("sites.csv"));
    assert!((1..=6).contains(&sites.len()), "{sites:?}");
    // The settings alone say which pictures, from wherever they are read.
    let third = album.bench.out("third");
    let mut again = Command::new(env!("CARGO_BIN_EXE_volet"));
    again.current_dir("/").args(["simulate", "--config"]).arg(first.join("settings.toml")).arg("--out").arg(&third);
    assert!(again.output().unwrap().status.success());
    assert_eq!(files(&first), files(&third));
    let (truth_before, _) = told(&album, "truth-before");

    // What people drew in pictures that are learned from matters to nobody who was not told to look at it.
    let learning = album.learning(5);
    album.scramble(&learning);
    let (scrambled, _) = album.done("scrambled", &[]);
    assert_eq!(rounds(&scrambled), rounds(&first));
    let (truth_after, _) = told(&album, "truth-after");
    assert_ne!(rounds(&truth_after), rounds(&truth_before));
    // Other annotations are another data set: a simulation does not go on with them.
    album.bench.refused(&first, &["--faces", album.folder.to_str().unwrap()], "faces-digest is");
    // In pictures that are held out it is what counts.
    let all: Vec<Value> = album.coco()["images"].as_array().unwrap().iter().map(|image| image["id"].clone()).collect();
    let held_out: Vec<Value> = all.into_iter().filter(|id| !learning.contains(id)).collect();
    album.scramble(&held_out);
    let (other, _) = album.done("other", &[]);
    assert_ne!(rounds(&other), rounds(&first));
}

/// With labels that people drew.
fn told(album: &Album, name: &str) -> (PathBuf, Output) {
    std::fs::write(album.bench.out("small.toml"), format!("{ALBUM}truth = true\n")).unwrap();
    let done = album.done(name, &[]);
    std::fs::write(album.bench.out("small.toml"), ALBUM).unwrap();
    done
}

#[test]
fn pictures_are_learned_from_again_after_a_kill_and_seeds_are_told_together() {
    let album = Album::new();
    let sweep = ["--sweep", "seed=5,6,7", "--rounds", "2"];
    let (reference, output) = album.done("reference", &[&sweep[..], &["--json"]].concat());
    let out = album.bench.out("out");
    let faces = ["--faces", album.folder.to_str().unwrap()];
    for run in ["run-1", "run-2"] {
        let mut child =
            album.bench.command(&out, &[&faces[..], &sweep].concat()).stderr(Stdio::null()).spawn().unwrap();
        while !out.join("state").join(run).exists() {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    album.done("out", &sweep);
    assert_eq!(files(&out), files(&reference));

    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gains: Vec<f64> = said["runs"].as_array().unwrap().iter().map(|run| run["gain"].as_f64().unwrap()).collect();
    let over = &said["over_seeds"][0];
    assert_eq!((over["seeds"].as_u64(), over["runs"].as_str()), (Some(3), Some("epsilon none")));
    let [mean, low, high] = ["mean_gain", "gain_low", "gain_high"].map(|key| over[key].as_f64().unwrap());
    assert!((mean - gains.iter().sum::<f64>() / 3.0).abs() < 1e-12 && low <= mean && mean <= high, "{over}");
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("Over seeds") && page.contains("95 % interval"));
    let seeds: Vec<String> = table(&out.join("rounds.csv")).iter().map(|line| line["seed"].clone()).collect();
    assert_eq!(seeds, ["5", "5", "6", "6", "7", "7"]);
}

#[test]
fn folders_that_cannot_be_learned_from_are_refused() {
    let album = Album::new();
    album.refused(&["--sites", "7"], "at most 6 sites are possible");
    album.refused(&["--fleet", "softmax"], "leave out --faces");
    album.refused(&["--sweep", "sites=2,7"], "at most 6 sites are possible");
    let out = album.bench.out("refused");
    album.bench.refused(&out, &["--fleet", "pictures"], "name it with --faces");
    album.bench.refused(&out, &["--faces", "/nowhere"], "/nowhere");
    let empty = album.bench.out("empty");
    std::fs::create_dir(&empty).unwrap();
    album.bench.refused(&out, &["--faces", empty.to_str().unwrap()], "holds none of annotations.json");
    for (text, with) in
        [("rate = 1.0", "[pictures] rate is 1"), ("most = 3", "[pictures] most is 3"), ("horses = 1", "horses")]
    {
        std::fs::write(album.bench.out("small.toml"), format!("[pictures]\n{text}\n")).unwrap();
        album.refused(&[], with);
    }
    std::fs::write(album.bench.out("small.toml"), ALBUM).unwrap();

    let coco = album.coco();
    let mut faceless = coco.clone();
    faceless["annotations"] = serde_json::json!([]);
    album.write(&faceless);
    album.refused(&[], "has a face that counts");
    let mut few = coco.clone();
    few["images"].as_array_mut().unwrap().truncate(3);
    album.write(&few);
    album.refused(&[], "lists 3 pictures; at least 4 are needed");
    std::fs::write(album.folder.join("annotations.json"), &coco.to_string()[..500]).unwrap();
    album.refused(&[], "annotations.json is not a whole COCO file");
    album.write(&coco);

    let name = coco["images"][4]["file_name"].as_str().unwrap();
    let picture = album.folder.join("images").join(name);
    let whole = std::fs::read(&picture).unwrap();
    for (bytes, with) in [
        (&whole[..whole.len() / 2], format!("{name} cannot be decoded")),
        (&b""[..], format!("{name} cannot be decoded")),
        (&std::fs::read(album.folder.join("images/000000.png")).unwrap(), format!("{name:?} are the same picture")),
    ] {
        std::fs::write(&picture, bytes).unwrap();
        album.refused(&[], &with);
    }
    image::RgbImage::new(20, 20).save(&picture).unwrap();
    album.refused(&[], &format!("{name:?} cannot be searched: still 0 is 20x20"));
    std::fs::remove_file(&picture).unwrap();
    album.refused(&[], &format!("{name:?}, which is not in"));
}
