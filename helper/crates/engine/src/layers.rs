//! An overlay's layers, each by itself, to be looked at.

use std::sync::Arc;

use crate::direct::Direct;
use crate::error::Result;
use crate::filesystem::FileSystem;
use crate::overlay::Overlay;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// What the database has: that was made or changed, and the folders that lead there.
    Delta,
    /// What the folder below has, but for what the view hides.
    Base,
}

#[derive(Clone)]
pub struct Layers(Arc<Overlay>);

impl Layers {
    pub(crate) fn of(overlay: Arc<Overlay>) -> Self {
        Self(overlay)
    }

    /// Not to be changed: the view remembers what is in both.
    pub fn tree(&self, layer: Layer) -> Result<Arc<dyn FileSystem>> {
        let Self(overlay) = self;
        match layer {
            Layer::Delta => Ok(overlay.files()),
            Layer::Base => {
                let (base, hidden) = overlay.below()?;
                Ok(Arc::new(Direct::over(overlay.files(), base, hidden)?))
            }
        }
    }
}
