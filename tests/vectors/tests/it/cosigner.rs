//! Threshold blind signatures. The tests of `paralith-cosigner-core` compare the crate with the file.

use crate::are_computed_again;

#[test]
fn the_cosigner_vectors_are_computed_again_in_python() {
    are_computed_again("the_cosigner_vectors_are_computed_again_in_python", "cosigner");
}
