//! Nobody outside the crate has a name for an opened picture.
fn read(picture: &volet_edge::vault::Picture<'_>) {
    let _ = picture;
}

fn main() {}
