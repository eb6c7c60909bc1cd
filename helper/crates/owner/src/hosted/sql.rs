//! What a statement may be. Whoever has the token may read and change everything in the database: that is what it is for.
//! What reaches beyond it is refused: files of this machine (`VACUUM INTO`, `ATTACH`, `load_extension`, which runs them,
//! modules of virtual tables), and the log that is all that clients know the past by (`PRAGMA wal_checkpoint`).
//!
//! It is told by what may be and not by what may not, so a statement that is not known here is refused, too.

const STATEMENTS: [&str; 21] = [
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DROP",
    "END",
    "EXPLAIN",
    "INSERT",
    "REINDEX",
    "RELEASE",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "UPDATE",
    "VALUES",
    "WITH",
    "CASE",
    "WHEN",
];
/// Those that only tell something. Of the second half only without a value, which would set it.
const PRAGMAS: [&str; 9] = [
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
const PRAGMAS_READ: [&str; 7] =
    ["application_id", "encoding", "freelist_count", "page_count", "page_size", "schema_version", "user_version"];
/// Functions that reach beyond the database, by whatever name they are quoted.
const FUNCTIONS: [&str; 5] = ["edit", "load_extension", "readfile", "sqlite_dbpage", "writefile"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("`{0}` is not done for others here")]
    Statement(String),
    #[error("`PRAGMA {0}` is not done for others here")]
    Pragma(String),
    #[error("`{0}` reaches beyond the database")]
    Name(String),
    #[error("virtual tables reach beyond the database")]
    Virtual,
    #[error("a comment or a quoted word does not end")]
    Unfinished,
}

/// What is to be known of a statement that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// It may leave a transaction open behind itself.
    pub(super) begins: bool,
}

pub(super) fn look(sql: &str) -> Result<Seen, Refused> {
    let mut seen = Seen { begins: false };
    let mut tokens = Tokens { rest: sql };
    let mut statement = Vec::new();
    loop {
        let token = tokens.next()?;
        match token {
            Some(Token::Sign(';')) | None => {
                seen.begins |= one(&statement)?;
                statement.clear();
                if token.is_none() {
                    return Ok(seen);
                }
            }
            Some(token) => {
                if let Some(name) = token.name() {
                    named(name)?;
                }
                // No rule looks further, and a statement may have a million tokens.
                if statement.len() < 8 {
                    statement.push(token);
                }
            }
        }
    }
}

/// Whether it begins a transaction.
fn one(statement: &[Token<'_>]) -> Result<bool, Refused> {
    let first = match statement.first() {
        None => return Ok(false),
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        Some(Token::Quoted(_)) => return Err(Refused::Statement("a quoted word".into())),
        Some(Token::Sign(sign)) => return Err(Refused::Statement(sign.to_string())),
    };
    if first == "PRAGMA" {
        return pragma(&statement[1..]).map(|()| false);
    }
    if !STATEMENTS.contains(&first.as_str()) {
        return Err(Refused::Statement(first.chars().take(40).collect()));
    }
    let is =
        |at: usize, word: &str| matches!(statement.get(at), Some(Token::Word(it)) if it.eq_ignore_ascii_case(word));
    if first == "CREATE" && (is(1, "VIRTUAL") || is(2, "VIRTUAL")) {
        return Err(Refused::Virtual);
    }
    Ok(first == "BEGIN" || first == "SAVEPOINT")
}

fn pragma(rest: &[Token<'_>]) -> Result<(), Refused> {
    let (name, after) = match rest {
        [_, Token::Sign('.'), name, after @ ..] | [name, after @ ..] => (name, after),
        [] => return Err(Refused::Pragma(String::new())),
    };
    let name = name.name().unwrap_or_default().to_ascii_lowercase();
    match (PRAGMAS.contains(&name.as_str()), PRAGMAS_READ.contains(&name.as_str()), after) {
        (true, _, [] | [Token::Sign('('), ..]) | (_, true, []) => Ok(()),
        _ => Err(Refused::Pragma(name.chars().take(40).collect())),
    }
}

/// Names that are dangerous wherever they stand, such as in a trigger. `pragma_NAME` is a table of what a pragma says, and
/// does what it does.
fn named(name: &str) -> Result<(), Refused> {
    let lower = name.to_ascii_lowercase();
    let of_pragma = lower.strip_prefix("pragma_");
    let is_told = |name: &str| PRAGMAS.contains(&name) || PRAGMAS_READ.contains(&name);
    if FUNCTIONS.contains(&lower.as_str()) || of_pragma.is_some_and(|name| !is_told(name)) {
        return Err(Refused::Name(lower.chars().take(40).collect()));
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// In quotes of any kind: a string can stand for a name.
    Quoted(String),
    Sign(char),
}

impl Token<'_> {
    /// What it may be the name of.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) => Some(name),
            Self::Quoted(name) => Some(name),
            Self::Sign(_) => None,
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, Refused> {
        self.skip()?;
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let closing = match first {
            '\'' | '"' | '`' => Some(first),
            '[' => Some(']'),
            _ => None,
        };
        if let Some(closing) = closing {
            return self.quoted(closing).map(Some);
        }
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        let length = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len()).max(first.len_utf8());
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(if inside(first) { Token::Word(token) } else { Token::Sign(first) }))
    }

    fn skip(&mut self) -> Result<(), Refused> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            if let Some(comment) = self.rest.strip_prefix("--") {
                // Where one end is doubtful the other reading must not hide a statement: both count.
                self.rest = comment.find(['\n', '\r']).map_or("", |end| &comment[end..]);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = &comment[comment.find("*/").ok_or(Refused::Unfinished)? + 2..];
            } else {
                return Ok(());
            }
        }
    }

    /// A closing quote that stands twice is one that is meant.
    fn quoted(&mut self, closing: char) -> Result<Token<'a>, Refused> {
        let mut text = String::new();
        let mut rest = &self.rest[1..];
        loop {
            let end = rest.find(closing).ok_or(Refused::Unfinished)?;
            text.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix(closing) {
                Some(more) if closing != ']' => {
                    text.push(closing);
                    rest = more;
                }
                _ => break,
            }
        }
        self.rest = rest;
        Ok(Token::Quoted(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_clients_say_passes() {
        for sql in [
            "",
            " ; -- nothing\n",
            "SELECT 1",
            "select 'VACUUM INTO ''x''; ATTACH', \"vacuum\" from t -- VACUUM",
            "INSERT INTO t VALUES (?, 'load_extension is a function');",
            "/* a */ WITH a AS (SELECT 1) SELECT * FROM a",
            "CREATE TABLE IF NOT EXISTS turso_sync_last_change_id (client_id TEXT PRIMARY KEY, change_id INTEGER)",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE a SET x = 1; SELECT CASE WHEN 1 THEN 2 END; END",
            "PRAGMA table_info('fs_inode')",
            "PRAGMA main.user_version;",
            "SELECT name FROM pragma_table_info('t')",
            "UPDATE t SET vacuum = 1",
            "COMMIT",
            "REPLACE INTO t VALUES (x'00')",
        ] {
            assert_eq!(look(sql).map(|_| ()), Ok(()), "{sql}");
        }
        assert!(look("begin immediate").unwrap().begins && look("SELECT 1; SAVEPOINT a").unwrap().begins);
        assert!(!look("ROLLBACK").unwrap().begins);
    }

    #[test]
    fn what_reaches_beyond_the_database_is_refused_however_it_is_written() {
        for sql in [
            "VACUUM",
            "vacuum into '/tmp/x'",
            "/**/VaCuUm/**/INTO 'x'",
            "-- a\nVACUUM",
            "-- a\rVACUUM",
            "SELECT 1; VACUUM",
            "\u{feff}VACUUM",
            ";;ATTACH 'x' AS y",
            "DETACH y",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA main.wal_checkpoint",
            "PRAGMA \"wal_checkpoint\"",
            "PRAGMA journal_mode = delete",
            "PRAGMA user_version = 3",
            "PRAGMA page_size(512)",
            "PRAGMA",
            "SELECT * FROM pragma_wal_checkpoint",
            "SELECT * FROM 'pragma_wal_checkpoint'",
            "SELECT load_extension('/tmp/x.so')",
            "SELECT \"Load_Extension\"('/tmp/x.so')",
            "SELECT [load_extension]('x')",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT load_extension('x'); END",
            "CREATE VIRTUAL TABLE t USING csv(filename='/etc/passwd')",
            "CREATE TEMP VIRTUAL TABLE t USING csv",
            "UPDATE sqlite_dbpage SET data = 1",
            "OPTIMIZE",
            "(SELECT 1)",
            "'VACUUM'",
            "SELECT 'a",
            "SELECT 1 /* VACUUM",
            "SELECT \"a",
            "SELECT [a",
        ] {
            assert!(look(sql).is_err(), "{sql}");
        }
    }
}
