use turso_core::{Numeric, Row as Raw, Value};

use crate::error::{Error, Result, StoreError, StoreErrorKind};
use crate::store::{Arg, Row};

pub(super) struct TursoRow<'a>(pub(super) &'a Raw);

impl TursoRow<'_> {
    fn value(&self, column: usize) -> Result<&Value> {
        if column < self.0.len() { Ok(self.0.get_value(column)) } else { Err(unexpected("a column", &Value::Null)) }
    }
}

impl Row for TursoRow<'_> {
    fn int(&self, column: usize) -> Result<i64> {
        match self.value(column)? {
            Value::Numeric(Numeric::Integer(value)) => Ok(*value),
            Value::Numeric(Numeric::Float(value)) => Ok(f64::from(*value) as i64),
            other => Err(unexpected("a number", other)),
        }
    }

    fn real(&self, column: usize) -> Result<f64> {
        match self.value(column)? {
            Value::Numeric(Numeric::Integer(value)) => Ok(*value as f64),
            Value::Numeric(Numeric::Float(value)) => Ok(f64::from(*value)),
            other => Err(unexpected("a number", other)),
        }
    }

    fn text(&self, column: usize) -> Result<&str> {
        match self.value(column)? {
            Value::Text(text) => Ok(text.as_str()),
            other => Err(unexpected("text", other)),
        }
    }

    fn blob(&self, column: usize) -> Result<&[u8]> {
        match self.value(column)? {
            Value::Blob(bytes) => Ok(bytes),
            Value::Text(text) => Ok(text.as_str().as_bytes()),
            other => Err(unexpected("bytes", other)),
        }
    }

    fn is_null(&self, column: usize) -> bool {
        matches!(self.value(column), Ok(Value::Null))
    }
}

pub(super) fn value(arg: &Arg<'_>) -> Value {
    match arg {
        Arg::Null => Value::Null,
        Arg::Int(value) => Value::from_i64(*value),
        Arg::Real(value) => Value::from_f64(*value),
        Arg::Text(text) => Value::from_text((*text).to_owned()),
        Arg::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn unexpected(wanted: &str, got: &Value) -> Error {
    let got = match got {
        Value::Null => "nothing",
        Value::Numeric(_) => "a number",
        Value::Text(_) => "text",
        Value::Blob(_) => "bytes",
    };
    StoreError::new(StoreErrorKind::Damaged, format!("{wanted} expected, {got} found")).into()
}
