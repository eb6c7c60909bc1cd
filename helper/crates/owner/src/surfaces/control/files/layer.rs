//! Which tree a look is at: what is seen, or one layer of it.

use std::sync::Arc;

use nixbox_control::Layer;
use nixbox_engine::ByPath;
use nixbox_report::{Failure, Report, codes};

use crate::desk::Open;
use crate::failure;

pub(super) fn tree(open: &Open, layer: Option<Layer>) -> Result<ByPath, Report> {
    let Some(layer) = layer else { return Ok(open.files.clone()) };
    let layers = open.layers.as_ref().ok_or_else(|| no_layers(open))?;
    let layer = match layer {
        Layer::Delta => {
            open.files.settle();
            nixbox_engine::Layer::Delta
        }
        Layer::Base => nixbox_engine::Layer::Base,
    };
    Ok(ByPath::new(layers.tree(layer).map_err(failure::working)?, Arc::new(()), open.caller))
}

fn no_layers(open: &Open) -> Failure {
    let why = match open.in_place {
        true => "it has `mode = \"direct\"`: what is changed is the base itself",
        false => "it has no `base`: all that there is of it is in its database",
    };
    Failure::new(&codes::FILE_LAYER, "the instance has no layers").why(why).help("leave `--layer` out")
}
