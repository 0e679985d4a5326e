//! How commands print: lines for people, or JSON.

use serde::Serialize;

use crate::error::NodeError;

/// Prints a value: as JSON in one line, or as indented text.
pub fn print(value: &impl Serialize, json: bool) -> Result<(), NodeError> {
    let value = serde_json::to_value(value).map_err(|e| NodeError::internal(&e))?;
    if json {
        println!("{value}");
    } else {
        print!("{}", text(&value, 0));
    }
    Ok(())
}

/// A JSON value as indented "key: value" lines.
fn text(value: &serde_json::Value, depth: usize) -> String {
    use serde_json::Value;
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| match field {
                Value::Object(inner) if !inner.is_empty() => {
                    format!("{indent}{name}:\n{}", text(field, depth + 1))
                }
                Value::Array(inner) if !inner.is_empty() => {
                    format!("{indent}{name}:\n{}", text(field, depth + 1))
                }
                _ => format!("{indent}{name}: {}\n", scalar(field)),
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(_) | Value::Array(_) => {
                    format!("{indent}-\n{}", text(item, depth + 1))
                }
                _ => format!("{indent}- {}\n", scalar(item)),
            })
            .collect(),
        other => format!("{indent}{}\n", scalar(other)),
    }
}

fn scalar(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_string(),
        Value::Object(_) | Value::Array(_) => "none".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_are_indented() {
        let value = serde_json::json!({"a": 1, "b": {"c": [true, "x"]}, "d": []});
        assert_eq!(text(&value, 0), "a: 1\nb:\n  c:\n    - true\n    - x\nd: none\n");
    }
}
