//! How long a file and a function may be, and that nothing is left unfinished.

use super::tree::File;

/// Lines of a file, at most.
const FILE: usize = 400;
/// Lines of code of a Lua function, at most.
const LUA: usize = 40;

/// No file is a heap. (How long a Rust function may be is held by clippy.)
pub fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let counted = file.path.starts_with("crates/") && (file.path.ends_with(".rs") || file.path.ends_with(".lua"));
    if counted && lines > FILE {
        return vec![file.at(lines, &format!("{lines} lines; at most {FILE}: divide it into rooms"))];
    }
    Vec::new()
}

/// A Lua file begins with its contract; its functions are short, and carry a version in their names.
pub fn lua(file: &File) -> Vec<String> {
    if !file.path.ends_with(".lua") {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !file.text.starts_with("-- ") {
        found.push(file.at(1, "a Lua file begins with its contract, as a comment"));
    }
    let mut begin = None;
    let mut code = 0;
    for (index, line) in file.text.lines().enumerate() {
        if line.starts_with("local function ") {
            (begin, code) = (Some(index + 1), 0);
        }
        let empty = line.trim().is_empty() || line.trim_start().starts_with("--");
        code += usize::from(!empty);
        if let (Some(at), "end") = (begin, line) {
            if code > LUA {
                found.push(file.at(at, &format!("{code} lines of code in a Lua function; at most {LUA}")));
            }
            begin = None;
        }
        if let Some(name) = line.split("register_function").nth(1).and_then(|rest| rest.split('\'').nth(1)) {
            let version = name.rsplit_once('_').map(|(_, version)| version);
            if !version.is_some_and(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
            {
                found.push(file.at(index + 1, &format!("{name} has no version in its name, like {name}_1")));
            }
        }
    }
    found
}

/// Nothing is put off.
pub fn unfinished(file: &File) -> Vec<String> {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    let lines = file.text.lines().enumerate();
    let found = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(index, _)| file.at(index + 1, "nothing is put off: finish it, or open an issue")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn a_heap_is_found() {
        assert_eq!(length(&file("crates/kit/src/a.rs", &"//\n".repeat(401))).len(), 1);
        assert!(length(&file("crates/kit/src/a.rs", &"//\n".repeat(400))).is_empty());
    }

    #[test]
    fn lua_without_contract_version_or_measure_is_found() {
        let long = format!("local function f()\n{}end\n", "  local a = 1\n".repeat(40));
        assert_eq!(lua(&file("crates/a/src/redis/a.lua", &format!("-- Contract.\n{long}"))).len(), 1);
        assert_eq!(lua(&file("crates/a/src/redis/a.lua", "local a = 1\n")).len(), 1);
        let names =
            "-- Contract.\nredis.register_function('a_claim', f)\nredis.register_function({ function_name = 'a_1' })\n";
        assert_eq!(lua(&file("crates/a/src/redis/a.lua", names)).len(), 1);
    }

    #[test]
    fn what_is_put_off_is_found() {
        let text = format!("// {}: later\n", concat!("TO", "DO"));
        assert_eq!(unfinished(&file("crates/a/src/a.rs", &text)).len(), 1);
        assert!(unfinished(&file("crates/a/src/a.rs", "// Done.\n")).is_empty());
    }
}
