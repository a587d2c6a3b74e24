//! What is sealed has nothing to be opened with.
fn open(sealed: &volet_edge::vault::Sealed) -> Vec<u8> {
    sealed.open()
}

fn main() {}
