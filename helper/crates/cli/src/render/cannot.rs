use std::fmt::Display;

use nixbox_report::{Failure, codes};

/// What a process manager has no words for is refused: what it would start instead is something else.
pub fn cannot(what: impl Display, why: impl Display, help: &str) -> Failure {
    Failure::new(&codes::RENDER_CANNOT, what.to_string()).why(why).help(help)
}
