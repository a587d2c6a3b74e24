//! Guarantee G1 in types: programs that try to get raw pixels out do not compile.

#[test]
fn raw_pixels_cannot_leave() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
