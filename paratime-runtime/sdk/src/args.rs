//! Arguments and results as JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Call, Result, SdkError};

/// The call's arguments. No arguments at all are read as `{}`.
///
/// Put `#[serde(deny_unknown_fields)]` on the type, so that a misspelt field is refused.
pub fn args<T: DeserializeOwned>(call: &Call) -> Result<T> {
    let text: &[u8] = if call.args.is_empty() { b"{}" } else { &call.args };
    serde_json::from_slice(text).map_err(|error| {
        let reason = error.to_string();
        SdkError::BadArguments { method: call.method.clone(), reason }.into()
    })
}

/// A result.
pub fn reply<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| SdkError::Unencodable { reason: error.to_string() }.into())
}

/// The refusal for a method that does not exist: the last arm of a handler's `match`.
pub fn unknown_method<T>(call: &Call) -> Result<T> {
    Err(SdkError::UnknownMethod { method: call.method.clone() }.into())
}

/// The arguments of a method that takes none: `args::<NoArgs>(call)?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Add {
        amount: u64,
    }

    #[test]
    fn only_the_exact_form_is_taken() {
        let call = |args: &str| Call { method: "add".into(), args: args.into() };
        assert_eq!(args(&call(r#"{"amount": 3}"#)), Ok(Add { amount: 3 }));
        assert_eq!(args(&call("")), Ok(NoArgs {}));
        for bad in ["", "{}", "3", r#"{"amount":-1}"#, r#"{"amount":1.5}"#, r#"{"amount":1,"x":1}"#]
        {
            let error = args::<Add>(&call(bad)).unwrap_err();
            assert_eq!((error.module.as_str(), error.code), ("sdk", 4), "{bad}");
            assert!(error.message.contains("`add`"), "{}", error.message);
        }
    }

    #[test]
    fn a_deep_nest_is_refused_before_it_overflows_the_stack() {
        let call = Call { method: "add".into(), args: vec![b'['; 100_000] };
        assert!(args::<serde_json::Value>(&call).is_err());
    }
}
