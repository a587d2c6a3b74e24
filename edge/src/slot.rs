//! The model in use, which another may take the place of while frames are searched. Knows nothing of where it came
//! from.

use std::sync::{Arc, PoisonError, RwLock};

use volet_models::Model;

/// A place for one model, shared by everything that searches with it.
#[derive(Clone)]
pub struct ModelSlot(Arc<RwLock<Arc<Model>>>);

impl ModelSlot {
    /// The model that is in use now. Whoever holds it goes on with it, whatever takes its place.
    pub fn get(&self) -> Arc<Model> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another model in place, for all frames that are begun from now on, and says whether it did: settings were
    /// checked against the present one's manifest, and hold only for models with the same.
    pub fn put(&self, model: Arc<Model>) -> bool {
        let mut present = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let fits = present.manifest() == model.manifest();
        if fits {
            *present = model;
        }
        fits
    }
}

impl From<Model> for ModelSlot {
    fn from(model: Model) -> Self {
        Arc::new(model).into()
    }
}

impl From<Arc<Model>> for ModelSlot {
    fn from(model: Arc<Model>) -> Self {
        Self(Arc::new(RwLock::new(model)))
    }
}

impl From<&Arc<Model>> for ModelSlot {
    fn from(model: &Arc<Model>) -> Self {
        Arc::clone(model).into()
    }
}
