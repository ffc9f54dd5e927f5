//! Places of which something was found out by going through all that is there.

use super::node::Place;
use crate::ordered::OrderedMap;

/// Of so many places it is noted.
const PLACES_MAX: usize = 64;

/// Those of which it holds, until they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Noted(OrderedMap<Place, ()>);

impl Noted {
    pub(super) fn has(&self, place: &Place) -> bool {
        self.0.contains_key(place)
    }

    pub(super) fn note(&mut self, place: &Place) {
        if self.0.len() >= PLACES_MAX {
            self.0.clear();
        }
        self.0.insert(place.clone(), ());
    }

    pub(super) fn forget(&mut self, place: &Place) {
        self.0.remove(place);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
