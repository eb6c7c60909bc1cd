//! What is allowed, and should not come as a surprise.

use crate::project::Project;
use crate::words::Mode;

impl Project {
    /// One sentence each, about the enabled instances.
    pub fn warnings(&self) -> Vec<String> {
        let direct = self.enabled().filter(|instance| instance.mode == Mode::Direct);
        direct
            .filter_map(|instance| {
                let base = instance.base.as_ref()?.path.display();
                let name = &instance.name;
                Some(format!(
                    "instances.{name}.mode is \"direct\": what is written in {name} is written to {base} at once, and there is nothing to review"
                ))
            })
            .collect()
    }
}
