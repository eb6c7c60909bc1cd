//! What is run when something has happened.

use std::collections::BTreeMap;

use nixbox_report::{Failure, codes};

use super::Resolver;
use crate::document::{At, HooksDocument};
use crate::origin::Origin;
use crate::secret;
use crate::tree::join;
use crate::words::HookEvent;

impl Resolver<'_> {
    pub(super) fn hooks(
        &mut self,
        instance: &str,
        written: Option<&At<HooksDocument>>,
    ) -> BTreeMap<HookEvent, Vec<Vec<String>>> {
        let mut hooks = BTreeMap::new();
        let Some(At { value: written, .. }) = written else { return hooks };
        let table = &join(instance, "hooks");
        for (event, commands) in written.each() {
            let key = join(table, event.as_str());
            for At { value, line } in commands.iter().flat_map(|command| &command.value) {
                if secret::looks_like_one("", value) {
                    // The value itself must not come up in any message.
                    let failure = Failure::new(&codes::CONFIG_SECRET, "A command holds what looks like a secret")
                        .why("this file and the Nix store are read by others")
                        .help("have the command read it from a file that only you can read");
                    self.problems.at(*line, &key, failure);
                } else if value.contains('\0') {
                    let what = "A word of a command holds a NUL character".to_owned();
                    self.report(&codes::CONFIG_VALUE, *line, &key, what, "leave it out");
                }
            }
            let words = |command: &At<Vec<At<String>>>| command.value.iter().map(|word| word.value.clone()).collect();
            let all: Vec<Vec<String>> = commands.iter().map(words).collect();
            if let Some(first) = commands.first() {
                let shown: Vec<_> = all.iter().map(|command| command.join(" ")).collect();
                self.setting(|| (key, Some(shown.join("; "))), Origin::File { line: first.line });
                hooks.insert(event, all);
            }
        }
        hooks
    }
}
