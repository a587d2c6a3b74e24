//! Who keeps film takes it from the pipeline alone, and gives nothing back.
fn read(keeper: &volet_edge::Keeper) {
    let _ = keeper.frames();
}

fn main() {}
