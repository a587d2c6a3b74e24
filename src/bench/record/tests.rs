//! Files of results that are whole, torn, altered, or of another format.

use super::*;

fn header() -> Header {
    Header {
        schema: SCHEMA,
        volet: "0.1.0".to_owned(),
        commit: "unknown".to_owned(),
        profile: "release".to_owned(),
        rustc: "unknown".to_owned(),
        cpu: "a processor".to_owned(),
        cores: 2,
        memory_bytes: 1 << 30,
        kernel: "6.1".to_owned(),
        governor: None,
        load_at_start: 0.5,
        started: "2026-11-23".to_owned(),
        quick: true,
        seed: 1,
        rounds: 3,
        suites: vec!["camera".to_owned()],
        peers: BTreeMap::new(),
    }
}

fn run(value: f64) -> Run {
    Run {
        suite: "camera".to_owned(),
        case: "stream".to_owned(),
        subject: "volet".to_owned(),
        metric: "cpu".to_owned(),
        unit: "ms".to_owned(),
        better: Better::Lower,
        value,
        params: Params::none().with("width", 1280.0).with("model", "built in"),
        round: 1,
        warm_up: false,
        exact: false,
        load: 0.1,
        loaded: false,
        how: Params::none().with("processors", 1.0),
    }
}

#[test]
fn what_is_written_is_read_again_and_what_is_no_number_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new");
    let mut recorder = Recorder::create(&out, &header()).unwrap();
    recorder.run(run(2.5)).unwrap();
    recorder.run(run(f64::NAN)).unwrap();
    let read = Results::read(recorder.path()).unwrap();
    assert_eq!((read.header, read.runs, read.torn), (header(), vec![run(2.5)], false));
    assert!(read.skipped.iter().all(|s| s.failed && s.why.contains("NaN")) && read.skipped.len() == 1);
    assert!(Recorder::create(&out, &header()).is_err(), "what is there is not written over");
}

/// Cut off at any byte after the header, the file is read up to the last whole line.
#[test]
fn a_file_cut_off_anywhere_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(folder.path(), &header()).unwrap();
    let first = std::fs::metadata(recorder.path()).unwrap().len() as usize;
    recorder.run(run(1.0)).unwrap();
    let second = std::fs::metadata(recorder.path()).unwrap().len() as usize;
    recorder.run(run(2.0)).unwrap();
    let text = std::fs::read_to_string(recorder.path()).unwrap();
    for end in first..text.len() {
        let read = Results::parse(&text[..end]).unwrap();
        // A line that lacks its end of line alone is whole.
        let whole = usize::from(end >= second - 1) + usize::from(end == text.len() - 1);
        assert_eq!(read.runs.len(), whole, "{end}");
        assert_eq!(read.torn, ![first, second - 1, second, text.len() - 1].contains(&end), "{end}");
    }
    assert!(Results::parse(&text[..first - 1]).is_err());
    assert!(Results::parse("not at all\n").is_err());
    let middle = text.replacen("\"line\":\"run\"", "\"line\":\"?\"", 1);
    assert!(Results::parse(&middle).unwrap_err().to_string().contains("line 2"));
    let later = text.replacen("\"schema\":2", "\"schema\":3", 1);
    assert!(Results::parse(&later).unwrap_err().to_string().contains("format"));
}

/// A run that was stopped between two lines is no whole one, and the suites it did not come to are named.
#[test]
fn only_a_run_that_came_to_its_end_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let suites = ["camera", "egress"].map(str::to_owned).to_vec();
    let mut recorder = Recorder::create(folder.path(), &Header { suites, ..header() }).unwrap();
    recorder.run(run(1.0)).unwrap();
    let stopped = Results::read(recorder.path()).unwrap();
    assert_eq!((stopped.whole, stopped.missing()), (false, vec!["egress"]));
    recorder.end().unwrap();
    let text = std::fs::read_to_string(recorder.path()).unwrap();
    for (end, _) in text.match_indices('\n') {
        assert_eq!(Results::parse(&text[..=end]).unwrap().whole, end + 1 == text.len());
    }
    assert!(Results::parse(&format!("{text}{text}")).unwrap_err().to_string().contains("two runs"));
}
