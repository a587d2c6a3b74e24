//! Nobody outside the crate gets at an opened picture.
fn read(picture: &volet_edge::vault::Picture<'_>) -> Vec<u8> {
    picture.jpeg().to_vec()
}

fn main() {}
