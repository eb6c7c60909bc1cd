//! The folders of templates/, as they were when this program was built.

pub struct Template {
    pub name: &'static str,
    /// Paths inside the project, and what is in them.
    pub files: &'static [(&'static str, &'static str)],
}

pub static TEMPLATES: &[Template] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

impl Template {
    /// What to do first in a project made from it.
    pub fn next(&self) -> &'static str {
        match self.name {
            "plain" => "nixbox-helper up",
            "devenv" => "devenv up",
            "flake" => "nix develop --no-pure-eval, then devenv up",
            "process-compose" => "nix run",
            _ => "read its README.md",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_without_nix_is_complete() {
        let plain = TEMPLATES.iter().find(|template| template.name == "plain").expect("templates/plain");
        let files: Vec<_> = plain.files.iter().map(|(path, _)| *path).collect();
        assert_eq!(files, [".envrc", ".gitignore", ".mcp.json", "README.md", "nixbox.toml"]);
    }
}
