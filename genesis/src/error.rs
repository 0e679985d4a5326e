//! Why a genesis document is refused.

/// What is wrong with a document, where, and how to put it right. The fault is the author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A field holds what it cannot.
    #[error("{path}: {problem}; {remedy}")]
    Field {
        /// Where, e.g. `genesis.accounts[3].address`.
        path: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Not JSON, or not of this shape.
    #[error("line {line}, column {column}: {problem}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the reader says.
        problem: String,
    },
    /// More than anybody's genesis has.
    #[error("the document has {got} bytes, at most {limit} are read")]
    TooLarge {
        /// Its length.
        got: usize,
        /// The most.
        limit: usize,
    },
}

impl GenesisError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Json { .. } => 1,
            Self::Field { .. } => 2,
            Self::TooLarge { .. } => 3,
        }
    }

    pub(crate) fn field(
        path: impl Into<String>,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self::Field { path: path.into(), problem: problem.into(), remedy }
    }
}

impl From<serde_json::Error> for GenesisError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        // The reader appends the place, which is named already.
        let text = error.to_string();
        let problem = text.split(" at line ").next().unwrap_or(&text).to_string();
        Self::Json { line, column, problem }
    }
}
