//! Where things lie in a camera's state folder, as far as an audit looks at them itself.

use std::path::{Path, PathBuf};

pub(super) use volet_edge::agent::{locks, sandbox_report};
pub(super) use volet_edge::egress::ledgers as heads_of;

/// The programs that an enrolled camera has, and the folders of each whose locks it alone holds while it runs.
pub(super) fn programs(folder: &Path) -> [(&'static str, Vec<PathBuf>); 2] {
    let [(network, _), (files, _)] = heads_of(folder);
    let near = sandbox_report(folder).parent().map(Path::to_owned);
    [("the agent", near.into_iter().chain([network]).collect()), ("the program that gives out files", vec![files])]
}
