//! Where things lie in a camera's state folder, as far as an audit looks at them itself.

use std::path::{Path, PathBuf};

use volet_edge::egress::Exports;

/// The ledgers of a state folder, the agent's and the exports'; and the second place of each one's head.
pub(super) fn heads_of(folder: &Path) -> [(PathBuf, PathBuf); 2] {
    let heads = folder.join("heads");
    [(folder.join("egress"), heads.join("egress")), (Exports::ledger_of(folder), heads.join("exports"))]
}

/// The lock files by which a camera's programs are known.
pub(super) fn locks(folder: &Path) -> Vec<PathBuf> {
    ["lock", "egress/lock", "exports/lock"].map(|lock| folder.join(lock)).into()
}

/// What the agent wrote down of how it locked itself in.
pub(super) fn sandbox_report(folder: &Path) -> PathBuf {
    folder.join("sandbox.json")
}

/// The programs that an enrolled camera has, and the folders of each whose locks it alone holds while it runs.
pub(super) fn programs(folder: &Path) -> [(&'static str, Vec<PathBuf>); 2] {
    let [(network, _), (files, _)] = heads_of(folder);
    let near = sandbox_report(folder).parent().map(Path::to_owned);
    [("the agent", near.into_iter().chain([network]).collect()), ("the program that gives out files", vec![files])]
}
