//! Where passwords of key files come from.

use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::error::NodeError;

/// Where the password is taken from when there is nobody to type it.
const VARIABLE: &str = "PARALITH_PASSWORD";

/// Shortest new password that is accepted when it is typed.
const MIN_CHARS: usize = 8;

/// A file's first line, else the environment variable `PARALITH_PASSWORD`, else typed without echo.
#[derive(Debug, Clone, Default)]
pub struct Passwords {
    file: Option<PathBuf>,
}

impl Passwords {
    /// From this file, if one is given.
    pub fn from_file(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// The password of an existing key.
    pub fn of_key(&self, name: &str) -> Result<Zeroizing<String>, NodeError> {
        match self.given()? {
            Some(password) => Ok(password),
            None => typed(&format!("Password of {name}: ")),
        }
    }

    /// The password of a new key: typed twice, because nobody sees what is typed.
    pub fn new_password(&self, name: &str) -> Result<Zeroizing<String>, NodeError> {
        if let Some(password) = self.given()? {
            return if password.is_empty() { Err(empty()) } else { Ok(password) };
        }
        let first = typed(&format!("New password of {name}: "))?;
        let second = typed("The same again: ")?;
        check_typed(&first, &second)?;
        Ok(first)
    }

    fn given(&self) -> Result<Option<Zeroizing<String>>, NodeError> {
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file)
                .map(Zeroizing::new)
                .map_err(|e| NodeError::io(file.display().to_string(), &e))?;
            let line = text.lines().next().unwrap_or_default();
            return Ok(Some(Zeroizing::new(line.to_string())));
        }
        Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new))
    }
}

/// What is typed without echo, e.g. words or a password.
pub fn typed(prompt: &str) -> Result<Zeroizing<String>, NodeError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|e| {
        let reason = format!("there is no terminal to type it at ({e}): give --password-file");
        NodeError::usage("password", reason)
    })
}

fn check_typed(first: &str, second: &str) -> Result<(), NodeError> {
    if first != second {
        return Err(NodeError::usage("password", "the two are not the same: start again"));
    }
    if first.chars().count() < MIN_CHARS {
        let reason = format!("it takes at least {MIN_CHARS} characters: choose a longer one");
        return Err(NodeError::usage("password", reason));
    }
    Ok(())
}

fn empty() -> NodeError {
    NodeError::usage("password", "it is empty: write one into the first line of the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_typed_twice_alike_and_is_long_enough() {
        assert!(check_typed("correct horse", "correct horse").is_ok());
        for (first, second) in [("correct horse", "correct house"), ("short", "short"), ("", "")] {
            assert_eq!(check_typed(first, second).unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn the_first_line_of_a_file_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        for (content, expected) in [("a b\r\nrest", Some("a b")), ("x", Some("x")), ("\n", None)] {
            std::fs::write(&file, content).unwrap();
            let passwords = Passwords::from_file(Some(file.clone()));
            let new = passwords.new_password("k").ok();
            assert_eq!(new.as_ref().map(|p| p.as_str()), expected, "{content:?}");
        }
        let missing = Passwords::from_file(Some(folder.path().join("none")));
        assert!(missing.of_key("k").is_err());
    }
}
