//! `docs/schema/*.json`: the JSON schemas of both documents, current and structural.
//!
//! Structural is what Kubernetes asks of a custom resource: each value has one type, and nothing hangs on a choice
//! between shapes. schemars writes an optional enum as `anyOf` with null; [`structural`] turns that into `nullable`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::policy::TenantDocument;

use crate::golden;

/// The schema with everything in its place, without references, choices and null types.
fn structural<T: schemars::JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let mut value = schema.to_value();
    plain(&mut value);
    value
}

/// Rewrites what only speaks of null: `{anyOf: [X, null]}` and `{type: [t, null]}`; and enums of described constants.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(fields) => {
            or_null(fields);
            constants(fields);
            fields.values_mut().for_each(plain);
        }
        _ => {}
    }
}

fn or_null(fields: &mut Map<String, Value>) {
    let is_null = |v: &Value| v.get("type").is_some_and(|t| t == "null");
    if let Some(Value::Array(choices)) = fields.get_mut("anyOf")
        && choices.len() == 2
        && choices.iter().any(is_null)
    {
        let of = choices.iter().find(|c| !is_null(c)).cloned();
        fields.remove("anyOf");
        if let Some(Value::Object(of)) = of {
            for (key, value) in of {
                // What is said of the field comes before what is said of its type.
                fields.entry(key).or_insert(value);
            }
        }
        fields.insert("nullable".into(), true.into());
    }
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|t| t != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".into(), one);
            fields.insert("nullable".into(), true.into());
        }
    }
    if let Some(Value::Array(values)) = fields.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
}

/// `oneOf` described string constants is an enum with words; Kubernetes takes the enum, and people the words.
fn constants(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else { return };
    let (mut values, mut words) = (Vec::new(), Vec::new());
    for choice in choices {
        let named = choice.get("const").map(|c| vec![c.clone()]);
        let listed = choice.get("enum").and_then(Value::as_array).cloned();
        let Some(of) = named.or(listed) else { return };
        for value in of {
            let name = value.as_str().unwrap_or_default().to_owned();
            let said = choice.get("description").and_then(Value::as_str).unwrap_or_default();
            words.push(format!("`{name}`: {}", said.lines().next().unwrap_or_default()));
            values.push(value);
        }
    }
    fields.remove("oneOf");
    fields.insert("type".into(), "string".into());
    fields.insert("enum".into(), values.into());
    let before = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    fields.insert("description".into(), format!("{before}\n{}", words.join("\n")).trim().into());
}

/// Names what Kubernetes would refuse.
fn refused(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for word in ["oneOf", "anyOf", "allOf", "not", "$ref", "$defs", "const"] {
                if fields.contains_key(word) {
                    found.push(format!("{path}: {word}"));
                }
            }
            if fields.get("type").is_some_and(Value::is_array) {
                found.push(format!("{path}: several types"));
            }
            if let Some(Value::Object(properties)) = fields.get("properties") {
                for (name, property) in properties {
                    if !property.get("type").is_some_and(Value::is_string) {
                        found.push(format!("{path}.{name}: no type"));
                    }
                    refused(property, &format!("{path}.{name}"), found);
                }
            }
            if let Some(items) = fields.get("items") {
                refused(items, &format!("{path}[]"), found);
            }
        }
        _ => found.push(format!("{path}: no schema")),
    }
}

fn check<T: schemars::JsonSchema>(file: &str) {
    let schema = structural::<T>();
    let mut found = Vec::new();
    refused(&schema, "", &mut found);
    assert_eq!(found, Vec::<String>::new(), "{file} is not structural");
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    golden::check_at(&crate::top().join("docs/schema").join(file), &text);
}

#[test]
fn the_tenants_schema_is_current_and_structural() {
    check::<TenantDocument>("tenant.json");
}

#[test]
fn the_directorys_schema_is_current_and_structural() {
    check::<DirectoryDocument>("directory.json");
}
