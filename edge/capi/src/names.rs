//! Names of classes and origins, as C takes them: the ones that annotation files have.

use std::ffi::CStr;

use crate::types::{VoletClass, VoletOrigin};

/// The name of a class; `None` where the number is none of [`VoletClass`].
pub(crate) fn class(number: u32) -> Option<&'static CStr> {
    const NAMES: [(VoletClass, &CStr); 6] = [
        (VoletClass::Face, c"face"),
        (VoletClass::Person, c"person"),
        (VoletClass::Vehicle, c"vehicle"),
        (VoletClass::Animal, c"animal"),
        (VoletClass::Parcel, c"parcel"),
        (VoletClass::Plate, c"plate"),
    ];
    NAMES.into_iter().find(|(class, _)| *class as u32 == number).map(|(_, name)| name)
}

/// The name of an origin; `None` where the number is none of [`VoletOrigin`].
pub(crate) fn origin(number: u32) -> Option<&'static CStr> {
    const NAMES: [(VoletOrigin, &CStr); 4] = [
        (VoletOrigin::Detected, c"detected"),
        (VoletOrigin::Interpolated, c"interpolated"),
        (VoletOrigin::Held, c"held"),
        (VoletOrigin::BackFilled, c"backfilled"),
    ];
    NAMES.into_iter().find(|(origin, _)| *origin as u32 == number).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VoletAnnotation;
    use volet_edge::annotate::{Annotated, Origin};
    use volet_edge::models::{BBox, ObjectClass};

    #[test]
    fn names_and_numbers_are_those_of_the_annotation_files() {
        let seen = |class, origin| {
            let bbox = BBox::new(1.0, 2.0, 3.0, 4.0);
            VoletAnnotation::from(&Annotated { class, bbox, score: f32::NAN, track_id: None, origin })
        };
        for known in ObjectClass::ALL {
            let number = seen(known, Origin::Detected).object_class as u32;
            assert_eq!(number, known.category_id());
            assert_eq!(class(number).unwrap().to_str().unwrap(), known.name());
        }
        for known in Origin::ALL {
            let found = seen(ObjectClass::Face, known);
            assert_eq!(origin(found.origin as u32).unwrap().to_str().unwrap(), known.name());
            assert_eq!(
                (found.track_id, found.score, found.height),
                (0, 0.0, 4.0),
                "nothing that is no number gets out"
            );
        }
        assert_eq!((class(0), class(7), origin(0), origin(5)), (None, None, None, None));
    }
}
