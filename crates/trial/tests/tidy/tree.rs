//! The files of the house, as text.

/// One file: its path from the root, and what stands in it.
pub struct File {
    pub path: String,
    pub text: String,
    /// The whole crate's `lib.rs`, where there is one: it says in which order its modules stand.
    pub lib: String,
}

impl File {
    /// The crate it belongs to, if any.
    pub fn krate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Its path below `src/` of its crate, without `.rs`: `redis`, `claim/batch`.
    pub fn module(&self) -> Option<&str> {
        self.path.split_once("/src/")?.1.strip_suffix(".rs")
    }

    /// The top-level module that it is, or is part of.
    pub fn room(&self) -> Option<&str> {
        self.module()?.split('/').next()
    }

    /// Its lines, numbered from 1, without comments and without what comes after `#[cfg(test)]`.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate();
        lines.map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// A violation at a line.
    pub fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every file of ours below `crates`, `migrations`, `proto`, `scripts` and `deploy`.
pub fn read() -> Vec<File> {
    let root = trial::ground::root();
    let mut files = Vec::new();
    for folder in ["crates", "migrations", "proto", "scripts", "deploy"] {
        for entry in walkdir::WalkDir::new(root.join(folder)).sort_by_file_name().into_iter().flatten() {
            let path = entry.path();
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let path = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned();
            let lib = path.split_once("/src/").map(|(krate, _)| root.join(krate).join("src/lib.rs"));
            let lib = lib.and_then(|lib| std::fs::read_to_string(lib).ok()).unwrap_or_default();
            files.push(File { path, text, lib });
        }
    }
    files
}

/// A file of a test's own.
#[cfg(test)]
pub fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned(), lib: String::new() }
}
