//! Setting a key in a TOML document, with comments and everything else kept.

use toml_edit::{DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

use crate::merge_error::MergeError;

/// Sets `path` to `value`, and gives whether that changed anything. Missing tables are made, and nothing is removed.
///
/// # Errors
/// A part of the path is not a table, or there is a table where the value must go.
pub(crate) fn set(document: &mut DocumentMut, path: &[String], value: &Value) -> Result<bool, MergeError> {
    let (leaf, tables) = path.split_last().expect("a key has at least one part");
    let mut table: &mut dyn TableLike = document.as_table_mut();
    let mut in_braces = false;
    for (depth, key) in tables.iter().enumerate() {
        let dotted_parent = depth > 0 && table.is_dotted();
        let item = table.entry(key).or_insert_with(|| new_table(in_braces, dotted_parent));
        in_braces = item.is_inline_table();
        let is = item.type_name();
        let not_a_table = || conflict(&path[..=depth], is, "a table");
        table = item.as_table_like_mut().ok_or_else(not_a_table)?;
    }
    match table.get_mut(leaf) {
        None => {
            table.insert(leaf, value.clone().into());
            Ok(true)
        }
        Some(old) if is_already(old, value) => Ok(false),
        Some(Item::Value(old)) if !old.is_inline_table() => {
            let around = old.decor().clone();
            *old = value.clone();
            *old.decor_mut() = around;
            Ok(true)
        }
        Some(other) => Err(conflict(path, other.type_name(), "a plain value")),
    }
}

/// The item at `path`, if there is one.
pub(crate) fn get<'d>(document: &'d DocumentMut, path: &[String]) -> Option<&'d Item> {
    path.iter().try_fold(document.as_item(), |item, key| item.as_table_like()?.get(key))
}

/// A dotted key as it is written in a file, quoted where it has to be.
pub(crate) fn dotted(path: &[String]) -> String {
    path.iter().map(|key| Key::new(key).to_string()).collect::<Vec<_>>().join(".")
}

/// A table in the style of the one it goes into: braces, dotted keys, or a header of its own.
fn new_table(in_braces: bool, dotted: bool) -> Item {
    if in_braces {
        return Value::from(InlineTable::new()).into();
    }
    let mut table = Table::new();
    table.set_implicit(true);
    table.set_dotted(dotted);
    table.into()
}

/// Whether at most so many tables and arrays are nested, this one included. It looks no deeper than that.
pub(crate) fn is_within(item: &Item, levels: usize) -> bool {
    match (item, levels.checked_sub(1)) {
        (Item::None, _) => true,
        (Item::Value(value), _) => value_is_within(value, levels),
        (Item::Table(table), Some(below)) => table.iter().all(|(_, item)| is_within(item, below)),
        (Item::ArrayOfTables(tables), Some(below)) => {
            tables.iter().flat_map(Table::iter).all(|(_, item)| is_within(item, below))
        }
        (Item::Table(_) | Item::ArrayOfTables(_), None) => false,
    }
}

/// As [`is_within`], for a value.
pub(crate) fn value_is_within(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Array(array), Some(below)) => array.iter().all(|value| value_is_within(value, below)),
        (Value::InlineTable(table), Some(below)) => {
            table.iter().all(|(_, value)| value_is_within(value, below))
        }
        (Value::Array(_) | Value::InlineTable(_), None) => false,
        _ => true,
    }
}

fn conflict(path: &[String], is: &'static str, needed: &'static str) -> MergeError {
    MergeError::Conflict { key: dotted(path), is, needed }
}

fn is_already(item: &Item, value: &Value) -> bool {
    // An empty table asks for a table with any content.
    let wants_any_table = value.as_inline_table().is_some_and(InlineTable::is_empty);
    (wants_any_table && item.is_table_like()) || item.clone().into_value().is_ok_and(|old| same(&old, value))
}

/// Whether two values mean the same, however they are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        // By bits: a NaN is the same as itself, and 0.0 is not -0.0.
        (Value::Float(a), Value::Float(b)) => a.value().to_bits() == b.value().to_bits(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Datetime(a), Value::Datetime(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str) -> Vec<String> {
        Key::parse(key).unwrap().iter().map(|part| part.get().to_owned()).collect()
    }

    /// The text after setting `key`. It parses and holds the value, and setting it again changes nothing.
    #[track_caller]
    fn after(text: &str, key: &str, value: &str) -> String {
        let (value, mut document): (Value, DocumentMut) = (value.parse().unwrap(), text.parse().unwrap());
        assert!(set(&mut document, &path(key), &value).unwrap());
        let new = document.to_string();
        let mut document: DocumentMut = new.parse().unwrap();
        assert!(is_already(get(&document, &path(key)).unwrap(), &value), "{new}");
        assert!(!set(&mut document, &path(key), &value).unwrap());
        new
    }

    #[track_caller]
    fn conflict_in(text: &str, key: &str, value: &str) -> (String, &'static str) {
        let mut document = text.parse().unwrap();
        match set(&mut document, &path(key), &value.parse().unwrap()).unwrap_err() {
            MergeError::Conflict { key, is, .. } => (key, is),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replaces_a_value_and_nothing_around_it() {
        assert_eq!(after("  a  =  'x' # why\n", "a", "1"), "  a  =  1 # why\n");
        assert_eq!(after("a = [ 1,\n # c\n 2 ]\nb = 1\n", "a", "[]"), "a = []\nb = 1\n");
    }

    #[test]
    fn leaves_the_same_value_as_it_is_written() {
        for (text, value) in [
            ("a = 'x'", "\"x\""),
            ("a = 0x10", "16"),
            ("a = [ 1, {b = 2}, ] # c", "[1, { b = 2 }]"),
            ("a = nan", "nan"),
            ("a = \"\"\"\nx\"\"\"", "'x'"),
            ("[[a]]\nb = 1\n[[a]]\nb = 2", "[{b = 1}, {b = 2}]"),
            ("[a]", "{}"),
            ("a.b = 1", "{}"),
        ] {
            assert!(!set(&mut text.parse().unwrap(), &path("a"), &value.parse().unwrap()).unwrap(), "{text}");
        }
    }

    #[test]
    fn adds_keys_and_tables_where_they_belong() {
        assert_eq!(after("", "a", "1"), "a = 1\n");
        assert_eq!(after("a = 1\n# c\n[t]\n", "b", "2"), "a = 1\nb = 2\n# c\n[t]\n");
        assert_eq!(after("[t] # c\n[u]\n", "t.a", "1"), "[t] # c\na = 1\n[u]\n");
        assert_eq!(after("[t]\nb = 1\n", "t.\"u v\".a", "1"), "[t]\nb = 1\n\n[t.\"u v\"]\na = 1\n");
    }

    #[test]
    fn writes_in_the_style_of_the_file() {
        assert_eq!(after("t.a = 1\nz = 2\n", "t.u.b", "3"), "t.a = 1\nt.u.b = 3\nz = 2\n");
        assert_eq!(after("t = { a = 1 } # c\n", "t.b", "2"), "t = { a = 1 , b = 2 } # c\n");
        assert_eq!(after("t = { a = 1 }\n", "t.u.v.b", "2"), "t = { a = 1 , u = { v = { b = 2 } } }\n");
    }

    #[test]
    fn counts_nested_tables_and_arrays_however_they_are_written() {
        for (text, levels) in [
            ("", 1),
            ("a = 1", 1),
            ("[a]", 2),
            ("a.b.c = 1", 3),
            ("[a.b]\nc = 1", 3),
            ("a = { b.c = 1 }", 3),
            ("a = [[], [1]]", 3),
            ("[[a]]\nb.c = 1", 3),
            ("[[a]]\nb = [{ c = 1 }]", 4),
        ] {
            let document: DocumentMut = text.parse().unwrap();
            assert!(is_within(document.as_item(), levels), "{text}");
            assert!(!is_within(document.as_item(), levels - 1), "{text}");
        }
    }

    #[test]
    fn names_what_is_in_conflict() {
        assert_eq!(conflict_in("t = 3", "t.a", "1"), ("t".to_owned(), "integer"));
        assert_eq!(conflict_in("[t]\na = 'x'", "t.a.b", "1"), ("t.a".to_owned(), "string"));
        assert_eq!(conflict_in("[[t]]", "t.a", "1"), ("t".to_owned(), "array of tables"));
        assert_eq!(conflict_in("[t]\na = 1", "t", "1"), ("t".to_owned(), "table"));
        assert_eq!(conflict_in("t = { a = 1 }", "t", "1"), ("t".to_owned(), "inline table"));
    }
}
